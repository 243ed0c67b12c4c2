//! Which parts of a decode step changed, where both sides stamp theirs: tested as cells are, with the variance of each part
//! moderated by the others', and Holm's correction over them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::results::{ProductTimes, StepParts};
use crate::stats::{self, MeanDifference};

/// Parts, and layers of one, that a report keeps.
const MOST: usize = 64;
pub(super) const MOST_LAYERS: usize = 1024;
/// Characters of a product's name that a report keeps.
const NAME: usize = 40;
/// What takes less of a step is measured in shares of this much of it: its own noise says nothing of that of the others.
const LEAST_SHARE: f64 = 0.001;

/// A decode step of base and head, stamped in turn in processes of their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MovedParts {
    /// The case's id.
    pub case: String,
    /// Processes of each side.
    pub runs: usize,
    /// How long a stamped step takes in the base, in microseconds.
    pub base_us: f64,
    /// The same of the head.
    pub head_us: f64,
    /// In the order in which they run: of each product the waiting for its input, then its work.
    pub parts: Vec<MovedPart>,
    /// Of the change, what is in no part, in microseconds.
    pub unexplained_us: f64,
}

/// The waiting or the work of a product, over all its layers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MovedPart {
    /// Such as `gate and up`.
    pub product: String,
    /// Which of the two.
    pub is: PartKind,
    /// How many layers have it.
    pub layers: usize,
    /// In the base, in microseconds of a step.
    pub base_us: f64,
    /// In the head.
    pub head_us: f64,
    /// That chance alone makes such a difference in any of the parts (Holm).
    pub p: f64,
    /// The layers that changed, numbered from 0, where the part did; empty where it didn't.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<LayerRange>,
}

/// What a block does with a product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// Waiting for its input.
    Waiting,
    /// Computing it.
    #[default]
    Work,
}

/// Layers that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LayerRange {
    /// The first.
    pub first: usize,
    /// The last.
    pub last: usize,
}

/// A quantity in each run of base and head.
type Values = [Vec<f64>; 2];

/// A part as the runs have it, layer by layer.
struct Observed {
    product: String,
    is: PartKind,
    /// By layer.
    layers: Vec<Values>,
}

impl MovedParts {
    /// Of as many runs as both sides have. `None` below two, or where the steps of both aren't made of the same parts.
    pub fn of(case: &str, [base, head]: [&[StepParts]; 2], alpha: f64) -> Option<Self> {
        let runs = base.len().min(head.len());
        let sides = [&base[..runs], &head[..runs]];
        let like = base.first().filter(|_| runs > 1)?;
        if sides.iter().copied().flatten().any(|step| !is_alike(step, like)) {
            return None;
        }
        let observed: Vec<Observed> = (0..like.products.len())
            .flat_map(|at| [PartKind::Waiting, PartKind::Work].map(|is| Observed::of(sides, at, is)))
            .filter(|part| part.layers.iter().flatten().flatten().any(|us| *us != 0.0))
            .collect();
        let whole: fn(&StepParts) -> f64 = |step| step.step_us;
        let [base_us, head_us] = sides.map(|steps| mean_of(steps, whole));
        let unexplained = sides.map(|steps| mean_of(steps, |step| step.unexplained_us));
        let parts = tested(&observed, base_us * LEAST_SHARE, alpha);
        Some(Self {
            case: case.to_owned(),
            runs,
            base_us,
            head_us,
            parts,
            unexplained_us: unexplained[1] - unexplained[0],
        })
    }

    /// How much longer the head's step is, in microseconds.
    pub fn change_us(&self) -> f64 {
        self.head_us - self.base_us
    }

    /// Those that changed, the largest change first.
    pub fn changed(&self) -> Vec<&MovedPart> {
        let mut changed: Vec<&MovedPart> = self.parts.iter().filter(|part| !part.changed.is_empty()).collect();
        changed.sort_by(|a, b| b.change_us().abs().total_cmp(&a.change_us().abs()));
        changed
    }

    /// No more than what `ci` writes, whoever wrote it.
    pub fn bound(&mut self) {
        self.parts.truncate(MOST);
        self.parts.iter_mut().for_each(|part| part.changed.truncate(MOST));
    }
}

impl MovedPart {
    /// How much longer it takes in the head, in microseconds.
    pub fn change_us(&self) -> f64 {
        self.head_us - self.base_us
    }
}

/// The same products in as many layers. A program may say anything.
fn is_alike(step: &StepParts, like: &StepParts) -> bool {
    let sizes = |product: &ProductTimes| [product.waiting_us.len(), product.work_us.len()];
    let is_whole = |product: &ProductTimes| {
        let [waiting, work] = sizes(product);
        waiting == work && (1..=MOST_LAYERS).contains(&work)
    };
    step.products.len() <= MOST / 2
        && step.products.len() == like.products.len()
        && step
            .products
            .iter()
            .zip(&like.products)
            .all(|(a, b)| a.name == b.name && sizes(a) == sizes(b) && is_whole(a))
}

fn mean_of(steps: &[StepParts], of: impl Fn(&StepParts) -> f64) -> f64 {
    stats::mean(&steps.iter().map(of).collect::<Vec<_>>()).unwrap_or_default()
}

impl Observed {
    fn of(sides: [&[StepParts]; 2], at: usize, is: PartKind) -> Self {
        let product = &sides[0][0].products[at];
        let times = |step: &StepParts, layer: usize| match is {
            PartKind::Waiting => step.products[at].waiting_us[layer],
            PartKind::Work => step.products[at].work_us[layer],
        };
        let layer = |layer| sides.map(|steps| steps.iter().map(|step| times(step, layer)).collect());
        let layers = (0..product.work_us.len()).map(layer).collect();
        Self { product: product.name.chars().take(NAME).collect(), is, layers }
    }

    /// Over all layers.
    fn whole(&self) -> Values {
        [0, 1].map(|side| {
            let runs = self.layers[0][side].len();
            (0..runs).map(|run| self.layers.iter().map(|layer| layer[side][run]).sum()).collect()
        })
    }

    /// The layers that changed, where all together did: all, where none differs from the others by more than chance explains.
    fn changed_layers(&self, scale: f64, alpha: f64) -> Vec<LayerRange> {
        let (count, whole) = (self.layers.len(), self.whole());
        let all = vec![LayerRange { first: 0, last: count - 1 }];
        let from_mean = |layer: &Values| -> Values {
            [0, 1].map(|side| {
                layer[side].iter().zip(&whole[side]).map(|(own, whole)| own - whole / count as f64).collect()
            })
        };
        let scale = (stats::mean(&whole[0]).unwrap_or_default() / count as f64).max(scale / count as f64);
        let others: Vec<Values> = self.layers.iter().map(from_mean).collect();
        if adjusted(&others, &vec![scale; count]).iter().all(|p| *p >= alpha) {
            return all;
        }
        let direction = change(&whole);
        let own = adjusted(&self.layers, &vec![scale; count]);
        let has_changed = |layer: &usize| own[*layer] < alpha && change(&self.layers[*layer]) * direction > 0.0;
        let ranges = ranges((0..count).filter(has_changed));
        if ranges.is_empty() { all } else { ranges }
    }
}

fn change([base, head]: &Values) -> f64 {
    stats::mean(head).unwrap_or_default() - stats::mean(base).unwrap_or_default()
}

fn ranges(layers: impl Iterator<Item = usize>) -> Vec<LayerRange> {
    let mut ranges: Vec<LayerRange> = Vec::new();
    for layer in layers {
        match ranges.last_mut().filter(|range| range.last + 1 == layer) {
            Some(range) => range.last = layer,
            None => ranges.push(LayerRange { first: layer, last: layer }),
        }
    }
    ranges
}

/// One test for each part. `least`: in microseconds.
fn tested(observed: &[Observed], least: f64, alpha: f64) -> Vec<MovedPart> {
    let wholes: Vec<Values> = observed.iter().map(Observed::whole).collect();
    let means: Vec<[f64; 2]> =
        wholes.iter().map(|sides| sides.each_ref().map(|side| stats::mean(side).unwrap_or_default())).collect();
    let scales: Vec<f64> = means.iter().map(|[base, _]| base.max(least)).collect();
    let adjusted = adjusted_in_kinds(observed, &wholes, &scales);
    let part = |((part, [base_us, head_us]), p): ((&Observed, &[f64; 2]), f64)| MovedPart {
        product: part.product.clone(),
        is: part.is,
        layers: part.layers.len(),
        base_us: *base_us,
        head_us: *head_us,
        p,
        changed: if p < alpha { part.changed_layers(least, alpha) } else { Vec::new() },
    };
    observed.iter().zip(&means).zip(adjusted).map(part).collect()
}

/// Waiting varies otherwise than work: each lends its variances to its own kind. Holm's family is both.
fn adjusted_in_kinds(observed: &[Observed], wholes: &[Values], scales: &[f64]) -> Vec<f64> {
    let mut p = vec![1.0; observed.len()];
    for kind in [PartKind::Waiting, PartKind::Work] {
        let places: Vec<usize> = (0..observed.len()).filter(|at| observed[*at].is == kind).collect();
        let of_kind: Vec<Values> = places.iter().map(|at| wholes[*at].clone()).collect();
        let scales: Vec<f64> = places.iter().map(|at| scales[*at]).collect();
        places.iter().zip(p_values(&of_kind, &scales)).for_each(|(at, own)| p[*at] = own);
    }
    stats::holm(&p)
}

fn adjusted(values: &[Values], scales: &[f64]) -> Vec<f64> {
    stats::holm(&p_values(values, scales))
}

/// One for each quantity: relative to its scale, as cells are compared by their ratios, so that all can lend each other.
fn p_values(values: &[Values], scales: &[f64]) -> Vec<f64> {
    let relative = |(sides, scale): (&Values, &f64)| {
        let [base, head] = sides.each_ref().map(|side| side.iter().map(|us| us / scale).collect::<Vec<_>>());
        MeanDifference::of(&base, &head)
    };
    let differences: Vec<Option<MeanDifference>> = values.iter().zip(scales).map(relative).collect();
    let spreads = differences.iter().flatten().map(|difference| difference.spread).collect();
    let prior = stats::priors(&[spreads])[0];
    let p = |difference: &Option<MeanDifference>| {
        let difference = difference.filter(|difference| difference.spread.df > 0.0 && difference.delta.is_finite())?;
        let error = prior.moderate(difference.spread).times(difference.k);
        let p = stats::two_sided_p(difference.delta / error.variance.sqrt(), error.df);
        p.is_finite().then_some(p)
    };
    differences.iter().map(|difference| p(difference).unwrap_or(1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYERS: usize = 24;
    const ALPHA: f64 = 0.05;

    /// A run: a program's times, with noise of 0.2% that is another in each run.
    fn run(number: u64, change: impl Fn(&str, usize) -> f64) -> StepParts {
        let mut seed = number * 7919 + 1;
        let mut noise = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((seed >> 33) as f64 / f64::from(1u32 << 31) - 0.5) * 0.004
        };
        let mut product = |name: &str, us: f64, layers: usize| ProductTimes {
            name: name.to_owned(),
            waiting_us: (0..layers).map(|_| 1.2 * (1.0 + 5.0 * noise())).collect(),
            work_us: (0..layers).map(|layer| us * (1.0 + noise()) + change(name, layer)).collect(),
            apart_us: vec![0.3; layers],
        };
        let of_layers = [("qkv", 4.0), ("attention", 6.0), ("output", 3.0), ("gate and up", 11.0), ("down", 7.0)];
        let mut products: Vec<ProductTimes> = of_layers.map(|(name, us)| product(name, us, LAYERS)).into();
        products.push(product("head", 90.0, 1));
        let choosing = ProductTimes { work_us: vec![0.0], ..product("choosing", 0.0, 1) };
        products.push(choosing);
        let sum: f64 = products.iter().flat_map(|product| product.waiting_us.iter().chain(&product.work_us)).sum();
        StepParts { steps: 8, step_us: sum + 0.05, products, unexplained_us: 0.05 }
    }

    fn sides(change: impl Fn(&str, usize) -> f64 + Copy) -> [Vec<StepParts>; 2] {
        [(1..=3).map(|number| run(number, |_, _| 0.0)).collect(), (4..=6).map(|number| run(number, change)).collect()]
    }

    fn moved(change: impl Fn(&str, usize) -> f64 + Copy) -> MovedParts {
        let [base, head] = sides(change);
        MovedParts::of("case", [&base, &head], ALPHA).unwrap()
    }

    fn all() -> Vec<LayerRange> {
        vec![LayerRange { first: 0, last: LAYERS - 1 }]
    }

    #[test]
    fn two_runs_of_one_program_name_nothing() {
        let found = moved(|_, _| 0.0);
        assert_eq!(found.changed(), Vec::<&MovedPart>::new());
        assert_eq!(found.parts.len(), 13, "choosing does no work");
    }

    #[test]
    fn two_percent_of_one_product_is_named_alone() {
        for (product, us) in [("gate and up", 11.0 * 0.02), ("attention", 6.0 * 0.02), ("attention", -0.3)] {
            let found = moved(|name, _| if name == product { us } else { 0.0 });
            let changed = found.changed();
            assert_eq!(changed.len(), 1, "{product}: {changed:?}");
            assert_eq!((changed[0].product.as_str(), changed[0].is), (product, PartKind::Work));
            assert_eq!(changed[0].changed, all());
            assert!((changed[0].change_us() - us * LAYERS as f64).abs() < 0.1, "{changed:?}");
            assert!(changed[0].p < 0.001, "{changed:?}");
        }
    }

    #[test]
    fn the_changes_of_the_parts_add_up() {
        let found = moved(|name, layer| if name == "down" && layer > 3 { 0.5 } else { 0.0 });
        let sum: f64 = found.parts.iter().map(MovedPart::change_us).sum();
        assert!((sum + found.unexplained_us - found.change_us()).abs() < 1e-9);
    }

    #[test]
    fn layers_that_differ_from_the_others_are_named() {
        let one = moved(|name, layer| if name == "down" && layer == 7 { 1.5 } else { 0.0 });
        assert_eq!(one.changed()[0].changed, [LayerRange { first: 7, last: 7 }]);
        let half = moved(|name, layer| if name == "gate and up" && layer >= 12 { 0.6 } else { 0.0 });
        assert_eq!(half.changed()[0].changed, [LayerRange { first: 12, last: 23 }]);
    }

    #[test]
    fn what_cant_be_compared_says_nothing() {
        let [base, head] = sides(|_, _| 0.0);
        assert_eq!(MovedParts::of("case", [&base[..1], &head], ALPHA), None, "a single run");
        let mut other = head.clone();
        other[1].products[2].name = "another".to_owned();
        assert_eq!(MovedParts::of("case", [&base, &other], ALPHA), None, "other parts");
        let mut other = head.clone();
        other[2].products[0].waiting_us.pop();
        assert_eq!(MovedParts::of("case", [&base, &other], ALPHA), None, "fewer layers");
        let none = vec![StepParts::default(); 3];
        assert_eq!(MovedParts::of("case", [&none, &none], ALPHA).unwrap().parts, []);
    }
}
