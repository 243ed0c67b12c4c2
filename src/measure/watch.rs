//! The devices and the memory while a generation runs, seen from a second thread that looks rarely.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::resident;
use super::seen::{CardLook, CardSeen, Seen};
use crate::case::DeviceKind;
use crate::device::{Card, CardSample, Gpus, Machine, Ordinals, Ours};

/// The first look comes early, so that short generations have one.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// A look costs NVML about a millisecond a card, on another core: under 0.5% of this.
const INTERVAL: Duration = Duration::from_millis(250);
/// NVML counts energy in steps of up to 100 ms: over a shorter time, a difference is mostly rounding.
const SHORTEST_ENERGY: Duration = Duration::from_secs(2);

/// Watches the devices of a measured program for as long as it lives.
pub struct Watcher {
    device: DeviceKind,
    cards: Arc<[Watched]>,
}

/// A card, and whose memory counts.
struct Watched {
    card: Box<dyn Card>,
    ours: Ours,
    /// In use before the measured program used it.
    base_bytes: u64,
}

/// A running observation; [`finish`](Watch::finish) ends it.
pub struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<Vec<Look>>,
    started: Instant,
    energy_j: Vec<Option<f64>>,
}

/// What each card reported at one time.
type Look = Vec<CardLook>;

impl Watcher {
    /// Watches what this process does on GPUs that CUDA calls so. Must come before the engine touches them.
    pub fn new(device: DeviceKind, gpus: &Ordinals) -> Self {
        let cards = match device {
            DeviceKind::Cuda => Gpus::Known(Machine::here().cards(gpus)).open(),
            DeviceKind::Cpu => Vec::new(),
        };
        Self::over(device, cards, &Ours::this_process())
    }

    /// Watches what `ours` do on `cards`.
    fn over(device: DeviceKind, cards: Vec<Box<dyn Card>>, ours: &Ours) -> Self {
        let watched = cards.into_iter().map(|card| {
            let base_bytes = card.used_bytes().unwrap_or(0);
            Watched { card, ours: ours.clone(), base_bytes }
        });
        Self { device, cards: watched.collect() }
    }

    /// From now on, the devices are looked at.
    pub fn start(&self) -> Watch {
        if self.device == DeviceKind::Cpu {
            resident::reset_peak();
        }
        let (energy_j, cards) = (self.energy_j(), Arc::clone(&self.cards));
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || look(&cards, &stopped));
        Watch { stop, thread, started: Instant::now(), energy_j }
    }

    /// Until now. What was seen in between.
    pub fn finish(&self, watch: Watch) -> Seen {
        let elapsed = watch.started.elapsed();
        let energy_j = self.energy_j();
        // The thread may have ended already, without a GPU.
        let _ = watch.stop.send(());
        let looks = watch.thread.join().unwrap_or_default();
        if self.device == DeviceKind::Cpu {
            return Seen { peak_bytes: resident::peak_bytes(), ..Seen::default() };
        }
        let used = watch.energy_j.iter().zip(energy_j).map(|(start, end)| Some(end? - (*start)?));
        let used = used.map(|joules| joules.filter(|&joules| joules > 0.0 && elapsed >= SHORTEST_ENERGY));
        let cards = self.cards.iter().zip(used).enumerate();
        Seen::of(
            cards.map(|(place, (watched, energy_j))| watched.seen(&looks, place, energy_j)).collect(),
            peak(&looks),
        )
    }

    fn energy_j(&self) -> Vec<Option<f64>> {
        self.cards.iter().map(|watched| watched.card.energy_j()).collect()
    }
}

impl Watched {
    /// What the driver counts for the measured processes, where it tells of processes and their memory.
    fn counted_bytes(&self) -> Option<u64> {
        let own = self.card.processes()?.into_iter().filter(|process| self.ours.contains(process.pid));
        own.map(|process| process.bytes).sum()
    }

    /// How much more the card holds than before.
    fn grown_bytes(&self) -> Option<u64> {
        Some(self.card.used_bytes()?.saturating_sub(self.base_bytes))
    }

    fn seen(&self, looks: &[Look], place: usize, energy_j: Option<f64>) -> CardSeen {
        CardSeen::of(self.card.id().clone(), looks.iter().filter_map(|look| look.get(place)), energy_j)
    }
}

/// What each card holds of the measured program. A driver that shows its processes on one card shows them on all, and a card
/// without them holds nothing of it. Many containers hide processes: then it is how much more a card holds than before.
fn held_bytes(cards: &[Watched]) -> Vec<Option<u64>> {
    let counted: Vec<Option<u64>> = cards.iter().map(Watched::counted_bytes).collect();
    let shown = any_holds(&counted);
    let by_card = |(card, counted): (&Watched, Option<u64>)| counted.filter(|_| shown).or_else(|| card.grown_bytes());
    let held: Vec<Option<u64>> = cards.iter().zip(counted).map(by_card).collect();
    // It holds something somewhere: nothing on any card means that nobody tells.
    if any_holds(&held) { held } else { vec![None; cards.len()] }
}

fn any_holds(bytes: &[Option<u64>]) -> bool {
    bytes.iter().flatten().any(|&bytes| bytes > 0)
}

/// The most that all cards held at one time.
fn peak(looks: &[Look]) -> Option<u64> {
    looks.iter().filter_map(|look| look.iter().map(|card| card.held_bytes).sum()).max().filter(|&bytes| bytes > 0)
}

fn look_once(cards: &[Watched]) -> Look {
    let looks = cards.iter().zip(held_bytes(cards));
    looks.map(|(watched, held_bytes)| CardLook { sample: watched.card.sample(), held_bytes }).collect()
}

/// Looks until it is told to stop, and once more at the end.
fn look(cards: &[Watched], stopped: &Receiver<()>) -> Vec<Look> {
    let now = || look_once(cards);
    let mut looks = Vec::new();
    if cards.is_empty() {
        return looks;
    }
    let mut wait = FIRST_LOOK;
    while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        looks.push(now());
        wait = INTERVAL;
    }
    // Clocks fall as soon as the work ends, so a last look only counts for memory, unless it is the only one.
    let last = now();
    looks.push(if looks.is_empty() { last } else { last.into_iter().map(CardLook::memory_only).collect() });
    looks
}

impl CardLook {
    /// Without what changes as soon as the work ends.
    fn memory_only(self) -> Self {
        Self { sample: CardSample { throttling: BTreeSet::new(), ..CardSample::default() }, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::GpuProcess;
    use crate::device::fake::Fake;
    use crate::device::memory::MIB;

    const OWN: u32 = 1_000_000_000;

    fn watch(fake: &Fake, work: impl FnOnce()) -> Seen {
        let watcher = Watcher::over(DeviceKind::Cuda, fake.open(), &Ours::started_by(OWN));
        let watch = watcher.start();
        work();
        watcher.finish(watch)
    }

    fn holds(fake: &Fake, card: usize, pid: u32, mib: u64) {
        fake.cards[card].set(|now| now.processes.push(GpuProcess { pid, bytes: Some(mib * MIB) }));
    }

    #[test]
    fn memory_is_that_of_the_measured_processes_by_card_and_in_all() {
        let fake = Fake::cards(2);
        let seen = watch(&fake, || {
            holds(&fake, 0, OWN, 1000);
            holds(&fake, 0, 1, 7);
            holds(&fake, 1, OWN, 200);
        });
        let by_card: Vec<_> = seen.by_card.iter().map(|card| (card.card.index, card.peak_bytes)).collect();
        assert_eq!(by_card, [(Some(0), Some(1000 * MIB)), (Some(1), Some(200 * MIB))]);
        assert_eq!(seen.peak_bytes, Some(1200 * MIB));
    }

    #[test]
    fn hidden_processes_leave_what_a_card_holds_more_than_before() {
        let fake = Fake::cards(8);
        let uses = |mib: u64| fake.cards.iter().for_each(|card| card.set(|now| now.used_bytes = Some(mib * MIB)));
        uses(500);
        let seen = watch(&fake, || uses(800));
        assert_eq!(seen.peak_bytes, Some(8 * 300 * MIB));
        assert_eq!(seen.by_card.iter().map(|card| card.peak_bytes).max(), Some(Some(300 * MIB)));
    }

    #[test]
    fn a_card_that_the_program_does_not_use_adds_nothing() {
        let fake = Fake::cards(2);
        let seen = watch(&fake, || {
            holds(&fake, 0, OWN, 1000);
            // Somebody else came to the card meanwhile.
            holds(&fake, 1, 1, 300);
            fake.cards[1].set(|now| now.used_bytes = Some(300 * MIB));
        });
        assert_eq!((seen.by_card[0].peak_bytes, seen.by_card[1].peak_bytes), (Some(1000 * MIB), Some(0)));
        assert_eq!(seen.peak_bytes, Some(1000 * MIB));
        let told = "GPU 1 holds nothing of the program: it uses fewer GPUs than were named";
        assert_eq!(seen.unused().as_deref(), Some(told));
    }

    #[test]
    fn a_card_that_did_not_grow_adds_nothing_either() {
        let fake = Fake::cards(2);
        fake.cards[1].set(|now| now.used_bytes = Some(500 * MIB));
        let seen = watch(&fake, || fake.cards[0].set(|now| now.used_bytes = Some(800 * MIB)));
        assert_eq!(seen.peak_bytes, Some(800 * MIB));
        assert!(seen.unused().is_some());
    }

    #[test]
    fn a_sum_that_lacks_a_card_whose_driver_tells_nothing_is_unknown() {
        let fake = Fake::cards(2);
        fake.cards[1].set(|now| now.hides_processes = true);
        let seen = watch(&fake, || holds(&fake, 0, OWN, 1000));
        assert_eq!((seen.by_card[0].peak_bytes, seen.by_card[1].peak_bytes), (Some(1000 * MIB), None));
        assert_eq!((seen.peak_bytes, seen.unused()), (None, None), "perhaps the program uses it");
    }

    #[test]
    fn a_process_whose_memory_is_hidden_is_seen_by_what_its_card_holds() {
        let fake = Fake::cards(2);
        let seen = watch(&fake, || {
            holds(&fake, 0, OWN, 1000);
            fake.cards[1].set(|now| {
                now.processes.push(GpuProcess { pid: OWN, bytes: None });
                now.used_bytes = Some(200 * MIB);
            });
        });
        assert_eq!(seen.peak_bytes, Some(1200 * MIB));
    }

    #[test]
    fn without_a_driver_nothing_is_seen() {
        assert_eq!(watch(&Fake::cards(0), || ()), Seen::default());
    }
}
