//! CUPTI's records as values. Each struct of its headers has the fields that we read at the same place from CUDA 12.0 to
//! 13.0; `layout.c` holds that against headers.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;

/// Something that happened, in nanoseconds of CUPTI's clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Record<'a> {
    Kernel(Kernel<'a>),
    Copy {
        device: u32,
        stream: u32,
        kind: u8,
        bytes: u64,
        time: Time,
        launch: Launch,
    },
    Set {
        device: u32,
        stream: u32,
        bytes: u64,
        time: Time,
        launch: Launch,
    },
    Synchronization {
        kind: u32,
        time: Time,
    },
    /// Memory was allocated or given back.
    Memory {
        device: u32,
        given_back: bool,
        kind: u32,
        bytes: u64,
        at: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kernel<'a> {
    pub device: u32,
    pub stream: u32,
    pub name: &'a [u8],
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub registers: u16,
    pub shared_bytes: u64,
    pub time: Time,
    pub launch: Launch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    pub start: u64,
    pub end: u64,
}

/// What launched it: all of one launch of a graph have the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch {
    /// 0 where it was none.
    pub graph: u32,
    pub number: u32,
}

impl Time {
    pub fn length(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// CUPTI has 0 where it knows none.
    pub fn is_known(self) -> bool {
        self.start > 0 && self.end >= self.start
    }
}

/// Kinds of activity, as CUPTI numbers them.
pub mod kind {
    pub const COPY: u32 = 1;
    pub const SET: u32 = 2;
    pub const CONCURRENT_KERNEL: u32 = 10;
    pub const PEER_COPY: u32 = 22;
    pub const SYNCHRONIZATION: u32 = 38;
    pub const MEMORY: u32 = 49;

    /// What we ask for. Kernels of a graph come one by one, unless somebody asks for whole graphs.
    pub const ALL: [u32; 6] = [CONCURRENT_KERNEL, COPY, PEER_COPY, SET, SYNCHRONIZATION, MEMORY];
}

/// A record of CUPTI's, in memory that stays while it is read.
#[derive(Clone, Copy)]
pub struct Raw<'a> {
    start: *const u8,
    stays: PhantomData<&'a [u8]>,
}

impl<'a> Raw<'a> {
    /// # Safety
    /// `start` is a record as CUPTI wrote it, which stays for `'a`.
    pub unsafe fn new(start: *const u8) -> Self {
        Self { start, stays: PhantomData }
    }

    /// What it says, if it is of a kind that we asked for.
    pub fn read(self) -> Option<Record<'a>> {
        Some(match self.u32(0) {
            kind::CONCURRENT_KERNEL => Record::Kernel(self.kernel()),
            kind::COPY => self.copy(self.launch(72, 44)),
            kind::PEER_COPY => self.copy(self.launch(80, 60)),
            kind::SET => Record::Set {
                device: self.u32(32),
                stream: self.u32(40),
                bytes: self.u64(8),
                time: self.time(16),
                launch: self.launch(72, 44),
            },
            kind::SYNCHRONIZATION => Record::Synchronization { kind: self.u32(4), time: self.time(8) },
            kind::MEMORY => Record::Memory {
                device: self.u32(52),
                given_back: self.u32(4) == 2,
                kind: self.u32(8),
                bytes: self.u64(24),
                at: self.u64(32),
            },
            _ => return None,
        })
    }

    fn kernel(self) -> Kernel<'a> {
        Kernel {
            device: self.u32(40),
            stream: self.u32(48),
            name: self.name(),
            grid: [52, 56, 60].map(|at| self.u32(at)),
            block: [64, 68, 72].map(|at| self.u32(at)),
            registers: self.read_at(6),
            shared_bytes: u64::from(self.u32(76)) + u64::from(self.u32(80)),
            time: self.time(16),
            launch: self.launch(156, 92),
        }
    }

    fn copy(self, launch: Launch) -> Record<'a> {
        let (device, stream, kind) = (self.u32(32), self.u32(40), self.read_at(4));
        Record::Copy { device, stream, kind, bytes: self.u64(8), time: self.time(16), launch }
    }

    fn name(self) -> &'a [u8] {
        let name = self.read_at::<*const c_char>(104);
        if name.is_null() {
            return b"";
        }
        // SAFETY: a string of C, which CUPTI keeps as long as the record.
        unsafe { CStr::from_ptr(name) }.to_bytes()
    }

    fn time(self, at: usize) -> Time {
        Time { start: self.u64(at), end: self.u64(at + 8) }
    }

    fn launch(self, graph: usize, number: usize) -> Launch {
        Launch { graph: self.u32(graph), number: self.u32(number) }
    }

    fn u32(self, at: usize) -> u32 {
        self.read_at(at)
    }

    fn u64(self, at: usize) -> u64 {
        self.read_at(at)
    }

    fn read_at<T: Copy>(self, at: usize) -> T {
        let place = self.start.wrapping_add(at).cast::<T>();
        // SAFETY: each place lies within the record of the kind that is read, and any bytes are such a number.
        unsafe { place.read_unaligned() }
    }
}
