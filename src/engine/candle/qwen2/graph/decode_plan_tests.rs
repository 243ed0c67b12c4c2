//! Plans for the collection's models. (`plan` itself knows nothing of them.)

use super::H100;
use super::decode_plan::{DecodePlan, Limits, Shape};
use super::sizes::{DecodeBlock, Format, Kind, Ring, STATIC_BYTES};
use super::unfit::Unfit;
use crate::models;

const HOPPER: DecodeBlock = DecodeBlock::of(90);

/// The layers' matrices, and a dense head.
fn uniform(format: Format) -> [Format; 5] {
    [format, format, format, format, Format::Dense]
}

fn plan(id: &str, limits: &Limits) -> Result<DecodePlan, Unfit> {
    DecodePlan::new(&models::find(id).unwrap().into(), uniform(Format::Dense), HOPPER, limits)
}

/// A block has room for the longest vectors (those of the intermediate size) beside its rings and tiles. Those of 32B
/// and 72B leave room for a short ring of dense weights only.
#[test]
fn all_models_fit() {
    for model in models::all() {
        for format in [Format::Dense, Format::Int4, Format::Int8] {
            let plan = DecodePlan::new(&model.into(), uniform(format), HOPPER, &H100).unwrap();
            assert!(plan.shared_bytes + STATIC_BYTES <= H100.shared_bytes, "{}", model.id);
            let short = format == Format::Dense && model.intermediate_size > 20_000;
            assert_eq!(plan.ring() == Ring::ShortDense, short, "{} {format:?}", model.id);
        }
    }
}

/// Blocks take longer rings and more sums of the vector: those of 32B and 72B leave room for a short ring only.
#[test]
fn all_models_in_blocks_fit() {
    for model in models::all() {
        for kind in [Kind::Q4_0, Kind::Q8_0] {
            let plan = DecodePlan::new(&model.into(), [Format::Blocks(kind); 5], HOPPER, &H100).unwrap();
            assert!(plan.shared_bytes + STATIC_BYTES <= H100.shared_bytes, "{}", model.id);
            assert_eq!(plan.ring() == Ring::ShortBlocks, model.intermediate_size > 20_000, "{}", model.id);
        }
    }
}

#[test]
fn packed_rows_are_whole_groups() {
    let shape = Shape { hidden: 1000, ..models::find("Qwen2.5-0.5B").unwrap().into() };
    let why = DecodePlan::new(&shape, uniform(Format::Int4), HOPPER, &H100).unwrap_err();
    assert_eq!(why, Unfit::NoMultiple { name: "hidden size", value: 1000, of: 128 });
    assert!(DecodePlan::new(&shape, uniform(Format::Dense), HOPPER, &H100).is_ok());
}

#[test]
fn long_rows_are_shared_where_there_are_few() {
    let small = plan("Qwen2.5-0.5B", &H100).unwrap();
    assert_eq!((small.split_down, small.split_head), (4, 1), "448 pairs of 4864; 75968 of 896");
    assert_eq!(plan("Qwen2.5-3B", &H100).unwrap().split_head, 1, "a little more work a warp, and many fewer sums");
}

#[test]
fn teams_leave_one_for_each_head() {
    // Few blocks have long lists of pairs, for which no GPU has room.
    let team = |blocks| plan("Qwen2.5-7B", &Limits { blocks, shared_bytes: usize::MAX, ..H100 }).unwrap().team;
    assert_eq!(team(120), HOPPER.cluster);
    assert_eq!(team(16), 4, "four key/value heads");
}

#[test]
fn what_does_not_fit_is_said() {
    let why = |limits| plan("Qwen2.5-7B", &limits).unwrap_err();
    let small = why(Limits { shared_bytes: 100_000, ..H100 });
    assert!(matches!(small, Unfit::SharedMemory { available: 100_000, .. }), "{small}");
    assert!(small.to_string().ends_with("bytes of shared memory a block, of 100000 at most"), "{small}");
    assert_eq!(why(Limits { cooperative: false, ..H100 }), Unfit::NotCooperative);
    assert_eq!(why(Limits { blocks: 0, ..H100 }), Unfit::FewBlocks { blocks: 0, kv_heads: 4 });
}

/// What a team's blocks tell each other lies behind the output product's vector and within the shared memory.
#[test]
fn a_teams_room_is_its_own_while_the_output_is_staged() {
    for model in models::all() {
        let Ok(plan) = DecodePlan::new(&model.into(), uniform(Format::Dense), HOPPER, &H100) else { continue };
        let output = model.num_attention_heads * model.head_dim * 2;
        assert!(plan.team_region * 16 >= output, "{}", model.id);
        let end = HOPPER.ring_bytes(Ring::Dense, model.head_dim)
            + (plan.second_region + plan.team_region) * 16
            + HOPPER.team_bytes(model.head_dim);
        assert!(end <= plan.shared_bytes, "{}", model.id);
    }
}
