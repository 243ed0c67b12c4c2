//! Equal builds on machines whose load changes, by every path that the documentation shows: nothing may be called changed.
//!
//! What `ci` does on each path is done here by the library on simulated runs, 100 reports a path, in seconds.
//! `.ci/equal-builds` does it for real.

use bench_diff::compare::{self, Comparison, Confirmation, Options, Side, Suspect, Verdict};
use bench_diff::results::{self, Occasions, Results};

use crate::compare_support::machine::{BIASED, BUSY, DRIFTING, Habits, Machine, Order, QUIET, STICKY, WORST};

const RUNS: u32 = 3;

/// A way from nothing to a report.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Path {
    /// One session, `baseline update`, a pull request: the base can't be run.
    Screen,
    /// The same, and what looks changed is measured again with the base.
    Confirmed,
    /// Sessions of five days, then a pull request, without and with the base.
    History,
    ConfirmedHistory,
    /// `--base-binary`, or the build that the self-check has kept.
    BaseProgram,
}

const PATHS: [Path; 5] = [Path::Screen, Path::Confirmed, Path::History, Path::ConfirmedHistory, Path::BaseProgram];

/// How what looks changed is measured again.
#[derive(Clone, Copy)]
struct Again {
    order: Order,
    base_twice: bool,
}

const AS_IT_IS: Again = Again { order: Order::Drawn, base_twice: true };

struct World {
    machine: Machine,
    change: f64,
    again: Again,
}

impl World {
    fn new(habits: Habits, seed: u64, change: f64, again: Again) -> Self {
        Self { machine: Machine::new(habits, seed), change, again }
    }

    fn report(&mut self, path: Path) -> Comparison {
        match path {
            Path::Screen => self.screen(1).0,
            Path::Confirmed => self.confirmed(1),
            Path::History => self.screen(5).0,
            Path::ConfirmedHistory => self.confirmed(5),
            Path::BaseProgram => self.base_program(),
        }
    }

    /// The baseline's sessions and the head's are days apart.
    fn screen(&mut self, days: usize) -> (Comparison, Vec<Suspect>) {
        let mut base = self.alone(0.0);
        for day in 1..days {
            self.machine.another_day();
            let session = self.alone(0.0);
            add(&mut base, &session, day);
        }
        base.occasions = Occasions::declared(&(0..days as u64).collect::<Vec<_>>());
        self.machine.another_day();
        let head = self.alone(self.change);
        let options = Options::default();
        let screen = compare::compare(&base, &head, &options).unwrap();
        (screen, compare::suspects(&base, &head, &options).unwrap())
    }

    fn confirmed(&mut self, days: usize) -> Comparison {
        let (screen, suspects) = self.screen(days);
        self.settle(screen, suspects)
    }

    fn base_program(&mut self) -> Comparison {
        let mut session = self.machine.session(2);
        self.machine.measure(&mut session, RUNS, self.again.order, self.change, &|_| true);
        let options = Options { same_session: true, ..Options::default() };
        let found = compare::compare(&session.sides[0], &session.sides[1], &options).unwrap();
        let changed = compare::changed(&found);
        self.settle(found, changed)
    }

    fn settle(&mut self, found: Comparison, suspects: Vec<Suspect>) -> Comparison {
        if suspects.is_empty() {
            return found;
        }
        let mut question = Confirmation::new(found, suspects, &Options::default());
        let mut session = self.machine.session(if self.again.base_twice { 3 } else { 2 });
        while let Some(runs) = question.wanted() {
            let open = question.open_cases();
            self.machine.measure(&mut session, runs, self.again.order, self.change, &|case| open.contains(case));
            if let [base, _, again] = &session.sides[..] {
                question.look_at_itself(base, again);
            }
            question.look(&session.sides[0], &session.sides[1]).unwrap();
        }
        question.finish()
    }

    /// A session of one program, which is the only contender.
    fn alone(&mut self, change: f64) -> Side {
        let mut session = self.machine.session(1);
        self.machine.measure(&mut session, RUNS, Order::Drawn, 0.0, &|_| true);
        let mut side = session.sides.remove(0);
        for cell in side.cases.iter_mut().flat_map(|case| &mut case.cells) {
            let factor =
                if cell.better == bench_diff::metric::Better::Lower { 1.0 + change } else { 1.0 / (1.0 + change) };
            cell.sessions[0].values.iter_mut().for_each(|value| *value *= factor);
        }
        side
    }
}

fn add(side: &mut Side, session: &Side, index: usize) {
    for (to, from) in side.cases.iter_mut().zip(&session.cases) {
        for (to, from) in to.cells.iter_mut().zip(&from.cells) {
            from.sessions[0].values.iter().for_each(|value| to.push(index, *value));
        }
    }
}

/// In how many of so many reports something is called changed.
fn called_changed(path: Path, habits: Habits, change: f64, again: Again, reports: u64) -> usize {
    let is_changed = |seed: &u64| {
        let rows = World::new(habits, *seed, change, again).report(path).rows;
        rows.iter().any(|row| matches!(row.verdict(), Verdict::Regressed | Verdict::Improved))
    };
    (1..=reports).filter(is_changed).count()
}

const MACHINES: [(&str, Habits); 5] =
    [("quiet", QUIET), ("drifting", DRIFTING), ("busy", BUSY), ("biased", BIASED), ("busy and biased", WORST)];

#[test]
fn nothing_is_called_changed_in_a_hundred_reports_of_equal_builds() {
    let mut called = Vec::new();
    for (machine, habits) in MACHINES {
        for path in PATHS {
            let count = called_changed(path, habits, 0.0, AS_IT_IS, 100);
            called.extend((count > 0).then(|| format!("{count} of 100 on a {machine} machine: {path:?}")));
        }
    }
    assert!(called.is_empty(), "{called:#?}");
}

/// The machines of this test do what they are said to: without what bench-diff does against it, they fool the comparison.
#[test]
fn a_fixed_order_is_fooled_by_a_machine_that_favours_the_second_place() {
    let naive = Again { order: Order::Fixed, base_twice: false };
    let count = called_changed(Path::BaseProgram, BIASED, 0.0, naive, 100);
    assert!(count > 90, "{count}");
}

/// No order helps against what sticks to a contender for a whole session, but the base as a third contender shows it.
#[test]
fn what_sticks_to_a_contender_shows_in_the_base_against_itself() {
    let reports = |base_twice| called_changed(Path::Confirmed, STICKY, 0.0, Again { base_twice, ..AS_IT_IS }, 100);
    let (once, twice) = (reports(false), reports(true));
    assert!(once > 90 && twice < 30, "{once} and {twice}");
}

/// What isn't called changed could be called nothing ever: real changes are found.
#[test]
fn real_changes_are_found() {
    assert!(called_changed(Path::BaseProgram, QUIET, 0.04, AS_IT_IS, 50) >= 45);
    assert!(called_changed(Path::History, QUIET, 0.04, AS_IT_IS, 50) >= 45);
    for path in [Path::Confirmed, Path::ConfirmedHistory] {
        let found = [(QUIET, 0.04), (DRIFTING, 0.15), (BIASED, 0.10)]
            .map(|(habits, change)| called_changed(path, habits, change, AS_IT_IS, 50));
        assert!(found.iter().all(|found| *found >= 45), "{path:?}: {found:?}");
    }
}

#[test]
#[ignore = "a minute; prints the table of equal builds in docs/statistics.md"]
fn equal_builds_by_path_and_machine() {
    let reports = std::env::var("REPORTS").ok().and_then(|reports| reports.parse().ok()).unwrap_or(2000);
    let share = |count: usize, of: u64| format!("{:.1}%", 100.0 * count as f64 / of as f64);
    let (two, fixed) = (Again { base_twice: false, ..AS_IT_IS }, Again { order: Order::Fixed, ..AS_IT_IS });
    let fixed_two = Again { base_twice: false, ..fixed };
    println!("| machine | {} | 5% / 10% found |", PATHS.map(|path| format!("{path:?}")).join(" | "));
    for (machine, habits) in MACHINES {
        let rates = PATHS.map(|path| share(called_changed(path, habits, 0.0, AS_IT_IS, reports), reports));
        let found = [0.05, 0.1].map(|by| share(called_changed(Path::Confirmed, habits, by, AS_IT_IS, 200), 200));
        println!("| {machine} | {} | {} |", rates.join(" | "), found.join(" / "));
    }
    println!("| confirming | quiet | biased | sticky |");
    for (what, again) in [("as it is", AS_IT_IS), ("base once", two), ("fixed", fixed), ("fixed, base once", fixed_two)]
    {
        let of = |habits| share(called_changed(Path::Confirmed, habits, 0.0, again, reports), reports);
        println!("| {what} | {} |", [QUIET, BIASED, STICKY].map(of).join(" | "));
    }
}

/// What an H100 measured: five sessions of one build, each as the base of each other one.
#[test]
fn nothing_looks_changed_between_five_sessions_of_an_h100() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats/h100-small.v1.json");
    let baseline = results::read(&path).unwrap();
    let sides: Vec<Side> = baseline
        .sessions
        .iter()
        .map(|session| {
            let alone = Results { sessions: vec![session.clone()], ..baseline.clone() };
            Side::from_results(session.id.as_str(), &alone)
        })
        .collect();
    let mut rows = Vec::new();
    for (base, head) in sides.iter().flat_map(|base| sides.iter().map(move |head| (base, head))) {
        if base.name != head.name {
            rows.extend(compare::compare(base, head, &Options::default()).unwrap().rows);
        }
    }
    assert!(rows.len() >= 400, "{}", rows.len());
    let changed: Vec<_> = rows.iter().filter(|row| row.looks_changed()).collect();
    assert!(changed.is_empty(), "{changed:?}");
}
