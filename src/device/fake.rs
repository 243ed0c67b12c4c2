//! A driver with as many cards as a test wants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::driver::{Card, CardId, CardSample, Driver, GpuProcess, Hardware, Versions};

/// Cards of 80 GiB.
pub struct Fake {
    pub cards: Vec<FakeCard>,
    /// UUIDs of parts of cards.
    pub parts: Vec<String>,
}

/// What a card tells; changes are seen by all who have it.
#[derive(Clone)]
pub struct FakeCard {
    pub id: CardId,
    pub now: Arc<Mutex<Now>>,
}

/// What a card tells at the moment.
#[derive(Clone, Default)]
pub struct Now {
    pub processes: Vec<GpuProcess>,
    pub hides_processes: bool,
    pub names: BTreeMap<u32, String>,
    pub used_bytes: Option<u64>,
    pub percent: Option<u32>,
    pub energy_j: Option<f64>,
    pub sample: CardSample,
}

impl Fake {
    pub fn cards(count: u32) -> Self {
        let id = |index| CardId { index: Some(index), uuid: Self::uuid(index), name: "Card of 80 GiB".to_owned() };
        Self { cards: (0..count).map(|index| FakeCard::new(id(index))).collect(), parts: Vec::new() }
    }

    /// Unlike each other from the first digits on.
    pub fn uuid(index: u32) -> String {
        format!("GPU-{:08x}-8af1-4da2-c478-f1ae39137802", 0xbdd0_c937_u32.wrapping_add(index.wrapping_mul(0x0f1e_2d3c)))
    }

    pub fn open(&self) -> Vec<Box<dyn Card>> {
        self.cards.iter().map(|card| Box::new(card.clone()) as Box<dyn Card>).collect()
    }
}

impl FakeCard {
    fn new(id: CardId) -> Self {
        Self { id, now: Arc::default() }
    }

    pub fn set(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.now.lock().unwrap());
    }

    fn now(&self) -> Now {
        self.now.lock().unwrap().clone()
    }
}

impl Driver for Fake {
    fn cards(&self) -> Vec<CardId> {
        self.cards.iter().map(|card| card.id.clone()).collect()
    }

    fn card(&self, uuid: &str) -> Option<Box<dyn Card>> {
        let part = |uuid: &String| FakeCard::new(CardId { index: None, uuid: uuid.clone(), name: "Part".to_owned() });
        let parts = self.parts.iter().map(part);
        let card = self.cards.iter().cloned().chain(parts).find(|card| card.id.uuid == uuid)?;
        Some(Box::new(card))
    }

    fn versions(&self) -> Versions {
        Versions::default()
    }
}

impl Card for FakeCard {
    fn id(&self) -> &CardId {
        &self.id
    }

    fn hardware(&self) -> Hardware {
        Hardware { name: self.id.name.clone(), memory_bytes: Some(80 << 30), ..Hardware::default() }
    }

    fn energy_j(&self) -> Option<f64> {
        self.now().energy_j
    }

    fn used_bytes(&self) -> Option<u64> {
        self.now().used_bytes
    }

    fn utilization_percent(&self) -> Option<u32> {
        self.now().percent
    }

    fn processes(&self) -> Option<Vec<GpuProcess>> {
        let now = self.now();
        (!now.hides_processes).then_some(now.processes)
    }

    fn process_name(&self, pid: u32) -> Option<String> {
        self.now().names.get(&pid).cloned()
    }

    fn sample(&self) -> CardSample {
        self.now().sample
    }
}
