//! A machine whose load changes, and equal builds measured on it in the order in which bench-diff measures.

use bench_diff::compare::{CaseSide, CellSide, Side};
use bench_diff::measure::turns;
use bench_diff::metric::{self, Better};
use bench_diff::results::Occasions;

use super::random::Random;

const CASES: usize = 4;
const METRICS: [(&str, f64); 3] = [("decode_throughput", 0.004), ("ttft", 0.007), ("itl_p99", 0.010)];

/// What a machine does besides running the program. Shares of the time that a run takes.
#[derive(Clone, Copy)]
pub struct Habits {
    /// Standard deviation of a day's level, for each cell.
    pub days: f64,
    /// Standard deviation of what is added with each run: a random walk.
    pub walk: f64,
    /// How often other work comes or goes, which slows everything by up to `load` until the next time.
    pub steps: f64,
    pub load: f64,
    /// How often something else disturbs a single case of a run, and by how much on average.
    pub bursts: f64,
    pub burst: f64,
    /// What the second place in a round gains.
    pub second: f64,
    /// What a program loses that follows itself: it finds its caches as it left them, or a warmer chip.
    pub repeated: f64,
    /// Standard deviation of what a contender gains or loses for a whole session, whatever it runs, in each cell.
    pub sticky: f64,
}

pub const QUIET: Habits = Habits {
    days: 0.003,
    walk: 0.0,
    steps: 0.0,
    load: 0.0,
    bursts: 0.0,
    burst: 0.0,
    second: 0.0,
    repeated: 0.0,
    sticky: 0.0,
};
/// Others compile beside it.
pub const BUSY: Habits = Habits { days: 0.02, walk: 0.002, steps: 0.08, load: 0.6, bursts: 0.1, burst: 0.3, ..QUIET };
/// Gets slower and slower, or faster.
pub const DRIFTING: Habits = Habits { days: 0.02, walk: 0.01, ..QUIET };
/// Its order of runs matters.
pub const BIASED: Habits = Habits { second: 0.04, repeated: 0.02, ..QUIET };
/// Something sticks to a contender for a session: no order of runs can help against that.
pub const STICKY: Habits = Habits { sticky: 0.02, ..QUIET };
pub const WORST: Habits = Habits { second: 0.04, repeated: 0.02, ..BUSY };

/// Whose turn it is.
#[derive(Clone, Copy, PartialEq)]
pub enum Order {
    /// As bench-diff measures.
    Drawn,
    /// Always the base first.
    Fixed,
}

pub struct Machine {
    habits: Habits,
    random: Random,
    /// ln of how much slower everything is: by the random walk, and by other work.
    walked: f64,
    loaded: f64,
    /// The level of each cell today.
    today: Vec<f64>,
    last: usize,
    session: u64,
}

/// Contenders that take turns, as far as they are measured.
pub struct Session {
    id: String,
    pub sides: Vec<Side>,
    /// What sticks to each contender, by cell.
    sticky: Vec<Vec<f64>>,
    rounds: u32,
}

impl Machine {
    pub fn new(habits: Habits, seed: u64) -> Self {
        let mut machine = Self {
            habits,
            random: Random(seed),
            walked: 0.0,
            loaded: 0.0,
            today: Vec::new(),
            last: usize::MAX,
            session: seed << 16,
        };
        machine.another_day();
        machine
    }

    pub fn another_day(&mut self) {
        let days = self.habits.days;
        self.today = (0..CASES * METRICS.len()).map(|_| days * self.random.normal()).collect();
        self.walked = 0.0;
    }

    pub fn session(&mut self, contenders: usize) -> Session {
        self.session += 1;
        let cell = |(name, _): &(&'static str, f64)| {
            let known = metric::find(name).expect("a known metric").definition();
            CellSide::new((*name).into(), known.unit.into(), known.better)
        };
        let case = |case: usize| CaseSide {
            id: format!("case-{case}"),
            cells: METRICS.iter().map(cell).collect(),
            runs: 1,
            ..CaseSide::default()
        };
        let side =
            Side { cases: (0..CASES).map(case).collect(), occasions: Occasions::declared(&[0]), ..Side::default() };
        let sticky = self.habits.sticky;
        let mut cells = || (0..CASES * METRICS.len()).map(|_| sticky * self.random.normal()).collect();
        let sticky = (0..contenders).map(|_| cells()).collect();
        Session { id: self.session.to_string(), sides: vec![side; contenders], sticky, rounds: 0 }
    }

    /// Until each contender has so many runs of the cases in `of`. The head, the second contender, is slower by `change`.
    pub fn measure(
        &mut self,
        session: &mut Session,
        rounds: u32,
        order: Order,
        change: f64,
        of: &dyn Fn(&str) -> bool,
    ) {
        for round in session.rounds + 1..=rounds {
            let contenders = session.sides.len();
            let turns = match order {
                Order::Drawn => turns::order(&session.id, "model", contenders, round),
                Order::Fixed => (0..contenders).collect(),
            };
            for (place, contender) in turns.into_iter().enumerate() {
                let slower = if contender == 1 { change.ln_1p() } else { 0.0 };
                let order_matters = self.order_effect(place, contender);
                self.run(&mut session.sides[contender], slower + order_matters, &session.sticky[contender], of);
            }
        }
        session.rounds = session.rounds.max(rounds);
    }

    fn order_effect(&mut self, place: usize, contender: usize) -> f64 {
        let again = std::mem::replace(&mut self.last, contender) == contender;
        let gain = if place == 1 { self.habits.second } else { 0.0 };
        if again { self.habits.repeated - gain } else { -gain }
    }

    fn run(&mut self, side: &mut Side, slower: f64, sticky: &[f64], of: &dyn Fn(&str) -> bool) {
        for (index, case) in side.cases.iter_mut().enumerate().filter(|(_, case)| of(&case.id)) {
            let level = slower + self.now();
            for (cell, (metric, (_, noise))) in case.cells.iter_mut().zip(METRICS.iter().enumerate()) {
                let at = index * METRICS.len() + metric;
                let cost = level + self.today[at] + sticky[at] + noise * self.random.normal();
                let sign = if cell.better == Better::Lower { 1.0 } else { -1.0 };
                cell.push(0, 100.0 * (sign * cost).exp());
            }
        }
    }

    /// The level while one case is measured; time passes.
    fn now(&mut self) -> f64 {
        let Habits { walk, steps, load, bursts, burst, .. } = self.habits;
        self.walked += walk * self.random.normal();
        if self.random.uniform() < steps {
            self.loaded = (load * self.random.uniform() * f64::from(u8::from(self.random.uniform() < 0.5))).ln_1p();
        }
        let disturbed = self.random.uniform() < bursts;
        let burst = if disturbed { -burst * (1.0 - self.random.uniform()).ln() } else { 0.0 };
        self.walked + self.loaded + burst
    }
}
