//! What moved in both parts of a case is said once.

use crate::moved::{Machine, usual};

/// Decode and prefill of a case call the same kernels: what moved in both is told once, and what is only the prefill's in full.
#[test]
fn what_both_parts_of_a_case_share_is_said_once() {
    let prompt = |ns| vec![("flash_attention", 64, 24, ns)];
    let base = usual().with(|step| step.prompt = prompt(3000));
    let head = base.clone().with(|step| {
        step.kernels[0].3 = 2500;
        step.copies = 2;
        step.prompt = prompt(6000);
    });
    let comment = Machine::new().comment(&base, &head);
    let section = comment.split("**What got slower**").nth(1).and_then(|rest| rest.split("<details>").next()).unwrap();
    let (decode, prefill) = section.split_once("\nAnd prefill of ").unwrap_or_else(|| panic!("{section}"));
    assert!(
        decode.contains("- `rmsnorm_bf16`: 2.002 → 2.502 µs a call (+25.0%), 49 calls a token: **+24.5 µs**"),
        "{decode}"
    );
    assert!(decode.contains("- copies device to host: 1 → 2 a token, 4 → 8 bytes: **+3.00 µs**"), "{decode}");
    assert!(prefill.contains("- `flash_attention`: 3.003 → 6.006 µs a call"), "{prefill}");
    let shared = "- as in decode: `rmsnorm_bf16` **+24.5 µs**, copies device to host **+3.00 µs**\n";
    assert!(prefill.contains(shared), "{prefill}");
    assert_eq!(
        (section.matches("`rmsnorm_bf16`: ").count(), section.matches("4 → 8 bytes").count()),
        (1, 1),
        "{section}"
    );
}
