//! Kernels anywhere in a file, whatever it is: containers, machine code and PTX are told by how they begin. So a program's
//! constants are found as well as its sections, and a compiler's cache as well as a library.
//!
//! A file may be anybody's: whatever it holds, each byte is looked at a few times, and no more is unpacked than a limit.

use std::collections::BTreeSet;

use memchr::memmem::Finder;

use super::KernelCode;
use super::fatbin::{Entry, Fatbin, MAGIC, What};
use super::{cubin, fatbin, ptx};

/// What entries of a file's containers unpack to, all together: the largest known has a quarter of it.
const MOST_UNPACKED_OF_FILE: usize = 16 << 30;
/// More kernels of a file aren't kept.
const MOST_KERNELS: usize = 1_000_000;

/// What a file has.
#[derive(Debug, Default)]
pub struct Found {
    pub kernels: BTreeSet<KernelCode>,
    /// Pieces that look like kernels' code and can't be read.
    pub unreadable: usize,
    unpacked: usize,
}

impl Found {
    pub fn in_file(file: &[u8]) -> Self {
        let (mut found, mut starts) = (Self::default(), Starts::of(file));
        while let Some((at, what)) = starts.next() {
            let bytes = &file[at..];
            let end = match what {
                Start::Fatbin => found.add_fatbin(bytes),
                Start::Elf => found.add_machine_code(bytes),
                Start::Ptx => found.add_text(bytes),
            };
            starts.skip_to(at + end.unwrap_or(1));
        }
        found
    }

    /// How long it is, if it is one.
    fn add_fatbin(&mut self, bytes: &[u8]) -> Option<usize> {
        let Some(mut fatbin) = Fatbin::read(bytes) else {
            self.unreadable += usize::from(fatbin::is_cut(bytes));
            return None;
        };
        fatbin.by_ref().for_each(|entry| self.add_entry(&entry));
        Some(fatbin.bytes)
    }

    fn add_entry(&mut self, entry: &Entry) {
        if entry.what == What::Other {
            return;
        }
        let has_room = self.unpacked < MOST_UNPACKED_OF_FILE;
        let Some(contents) = has_room.then(|| entry.contents()).flatten() else {
            self.unreadable += 1;
            return;
        };
        self.unpacked += contents.len();
        match entry.what {
            What::MachineCode => self.add(cubin::kernels(&contents, Some(&entry.target))),
            _ => drop(self.add_text(&contents)),
        }
    }

    fn add_machine_code(&mut self, bytes: &[u8]) -> Option<usize> {
        let Some(end) = cubin::length(bytes) else {
            self.unreadable += usize::from(cubin::is_cut(bytes));
            return None;
        };
        self.add(cubin::kernels(&bytes[..end], None));
        Some(end)
    }

    fn add_text(&mut self, bytes: &[u8]) -> Option<usize> {
        let module = ptx::kernels(bytes);
        self.unreadable += usize::from(module.is_cut);
        self.add(Some(module.kernels));
        Some(module.bytes)
    }

    fn add(&mut self, kernels: Option<Vec<KernelCode>>) {
        let Some(kernels) = kernels else {
            self.unreadable += 1;
            return;
        };
        let room = MOST_KERNELS.saturating_sub(self.kernels.len());
        self.unreadable += usize::from(kernels.len() > room);
        self.kernels.extend(kernels.into_iter().take(room));
    }
}

#[derive(Debug, Clone, Copy)]
enum Start {
    Fatbin,
    Elf,
    Ptx,
}

/// Places where something may begin, in their order.
struct Starts<'a> {
    file: &'a [u8],
    from: usize,
    next: [(Start, Finder<'static>, Option<usize>); 3],
}

impl<'a> Starts<'a> {
    fn of(file: &'a [u8]) -> Self {
        let next = [(Start::Fatbin, &MAGIC[..]), (Start::Elf, cubin::MAGIC), (Start::Ptx, ptx::MAGIC)]
            .map(|(what, magic)| (what, Finder::new(magic).into_owned(), Some(0)));
        let mut starts = Self { file, from: 0, next };
        starts.look();
        starts
    }

    fn skip_to(&mut self, at: usize) {
        self.from = at;
        self.look();
    }

    /// Each is looked for from where it was last seen: the file is read once for each.
    fn look(&mut self) {
        for (_, finder, next) in &mut self.next {
            if let Some(at) = *next
                && (at < self.from || at == 0)
            {
                let rest = self.file.get(self.from..).unwrap_or_default();
                *next = finder.find(rest).map(|at| at + self.from);
            }
        }
    }

    fn next(&self) -> Option<(usize, Start)> {
        self.next.iter().filter_map(|(what, _, next)| next.map(|at| (at, *what))).min_by_key(|(at, _)| *at)
    }
}
