//! Machine code of NVIDIA's GPUs: an ELF file with a section for each kernel's code. What NVIDIA adds to ELF isn't documented;
//! it was held against `cuobjdump -res-usage` (tests/fixtures/kernel_code).

use std::collections::{BTreeMap, BTreeSet};

use object::LittleEndian as Little;
use object::elf::{FileHeader64, SHT_RELA, SHT_SYMTAB, STT_FUNC, SectionHeader64, Sym64};
use object::read::elf::{FileHeader, Rela, SectionHeader, SectionTable, Sym, SymbolTable};
use object::read::{SectionIndex, SymbolIndex};

use super::fatbin::u32_at;
use super::reached::{Piece, Pieces};
use super::{Fingerprint, Form, KernelCode, Resources};
use crate::trace::{readable, shown_name};

/// How ELF files of 64 bits begin.
pub const MAGIC: &[u8] = b"\x7fELF\x02\x01\x01";

type Header = FileHeader64<Little>;
type Sections<'a> = SectionTable<'a, Header>;
type Symbols<'a> = SymbolTable<'a, Header>;

/// EM_CUDA.
const MACHINE: u16 = 190;
/// Of a symbol that the host can launch.
const ENTRY: u8 = 0x10;
/// Where the architecture stands in the header's flags depends on this. CUDA 13 has it.
const NEW_ABI: u8 = 0x41;
/// Attributes of `.nv.info` with the number of a symbol and a value: registers of a thread, and bytes of its stack.
const REGISTERS: u8 = 0x2f;
const FRAME: u8 = 0x11;
/// The form of both.
const SIZED: u8 = 4;
/// More sections than any compiler makes.
const MOST_SECTIONS: usize = 65_536;

/// Of one that begins where the bytes do.
pub fn length(bytes: &[u8]) -> Option<usize> {
    end(bytes).filter(|end| *end <= bytes.len())
}

/// It begins as machine code, and its end is missing.
pub fn is_cut(bytes: &[u8]) -> bool {
    end(bytes).is_some_and(|end| end > bytes.len())
}

fn end(bytes: &[u8]) -> Option<usize> {
    let header = header(bytes)?;
    let table = |start: u64, entries: u16, size: u64| start.checked_add(u64::from(entries) * size);
    let sections = table(header.e_shoff.get(Little), header.e_shnum.get(Little), 64)?;
    let segments = table(header.e_phoff.get(Little), header.e_phnum.get(Little), 56)?;
    usize::try_from(sections.max(segments)).ok().filter(|end| *end >= 64)
}

fn header(bytes: &[u8]) -> Option<&Header> {
    let header = Header::parse(bytes).ok()?;
    (header.e_machine.get(Little).0 == MACHINE).then_some(header)
}

/// Its kernels, for `target` where a container names it.
pub fn kernels(bytes: &[u8], target: Option<&str>) -> Option<Vec<KernelCode>> {
    let header = header(bytes)?;
    let target = target.map_or_else(|| target_of(header), str::to_owned);
    let cubin = Cubin::read(bytes, header)?;
    let entries = cubin.symbols.enumerate().filter(|(_, symbol)| symbol.st_other.0 & ENTRY != 0 && is_code(symbol));
    let mut pieces = cubin.pieces();
    entries.take(MOST_SECTIONS).map(|(number, _)| cubin.kernel(number, &target, &mut pieces)).collect()
}

fn target_of(header: &Header) -> String {
    let flags = header.e_flags.get(Little).0;
    let number = if header.e_ident.os_abi.0 == NEW_ABI { (flags >> 8) & 0xff } else { flags & 0xff };
    format!("sm_{number}")
}

fn is_code(symbol: &Sym64<Little>) -> bool {
    symbol.st_type() == STT_FUNC && symbol.st_shndx.get(Little).0 != 0
}

/// One that was looked through.
struct Cubin<'a> {
    bytes: &'a [u8],
    sections: Sections<'a>,
    symbols: Symbols<'a>,
    by_name: BTreeMap<&'a [u8], SectionIndex>,
    /// What code refers to, by section.
    references: BTreeMap<usize, Vec<Reference>>,
    /// By number of the symbol.
    registers: BTreeMap<u32, u32>,
    frames: BTreeMap<u32, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    at: u64,
    kind: u32,
    addend: i64,
    symbol: usize,
}

impl<'a> Cubin<'a> {
    fn read(bytes: &'a [u8], header: &Header) -> Option<Self> {
        let sections = header.sections(Little, bytes).ok().filter(|sections| sections.len() <= MOST_SECTIONS)?;
        // What is read belongs to one section alone, or reading it all would take forever.
        let read = sections.iter().filter(|section| is_read(&sections, section));
        let bytes_read = read.filter_map(|section| section.file_range(Little)).map(|(_, size)| size);
        if bytes_read.fold(0_u64, u64::saturating_add) > bytes.len() as u64 {
            return None;
        }
        let symbols = sections.symbols(Little, bytes, SHT_SYMTAB).ok()?;
        let named = sections.enumerate().filter_map(|(at, section)| Some((name(&sections, section)?, at)));
        let by_name = named.collect();
        let mut cubin = Self {
            bytes,
            sections,
            symbols,
            by_name,
            references: BTreeMap::new(),
            registers: BTreeMap::new(),
            frames: BTreeMap::new(),
        };
        cubin.read_references();
        cubin.read_attributes();
        Some(cubin)
    }

    fn read_references(&mut self) {
        for section in self.sections.iter().filter(|section| section.sh_type(Little) == SHT_RELA) {
            let Ok(Some((entries, _))) = section.rela(Little, self.bytes) else { continue };
            let references = entries.iter().map(|entry| Reference {
                at: entry.r_offset(Little),
                kind: entry.r_type(Little, false).0,
                addend: entry.r_addend(Little),
                symbol: entry.r_sym(Little, false) as usize,
            });
            self.references.entry(section.sh_info(Little) as usize).or_default().extend(references);
        }
        self.references.values_mut().for_each(|references| references.sort_unstable());
    }

    /// Each is a form, a number and a size; then that many bytes where the form says so.
    fn read_attributes(&mut self) {
        let mut rest = self.data_of(b".nv.info");
        while let Some(&[form, attribute, low, high]) = rest.first_chunk() {
            let size = if form == SIZED { usize::from(u16::from_le_bytes([low, high])) } else { 0 };
            let Some(value) = rest.get(4..4 + size) else { return };
            let list = match attribute {
                REGISTERS => Some(&mut self.registers),
                FRAME => Some(&mut self.frames),
                _ => None,
            };
            if let (Some(list), Some(symbol), Some(number)) = (list, u32_at(value, 0), u32_at(value, 4)) {
                list.insert(symbol, number);
            }
            rest = &rest[4 + size..];
        }
    }

    fn kernel(&self, number: SymbolIndex, target: &str, pieces: &mut Pieces) -> Option<KernelCode> {
        let symbol = self.symbols.symbol(number).ok()?;
        let at = usize::from(symbol.st_shndx.get(Little).0);
        let section = self.sections.section(SectionIndex(at)).ok()?;
        let (name, mut hash) = (self.name_of(symbol), Fingerprint::default());
        let hashes = pieces.reached_from(at);
        // Code that can't be read is equal to nothing.
        if hashes.first()?.is_empty() {
            return None;
        }
        hashes.iter().for_each(|of_piece| hash.add(of_piece.as_bytes()));
        let of_symbol = |list: &BTreeMap<u32, u32>| u32::try_from(number.0).ok().and_then(|at| list.get(&at).copied());
        let shared_bytes =
            self.section(format!(".nv.shared.{name}").as_bytes()).map_or(0, |section| section.sh_size(Little));
        // Before CUDA 13, the section of the code tells the registers as well.
        let registers = of_symbol(&self.registers).unwrap_or(section.sh_info(Little) >> 24);
        let local_bytes = of_symbol(&self.frames).unwrap_or_default();
        let resources = Resources { registers, local_bytes, shared_bytes };
        hash.add(format!("{registers} {local_bytes} {shared_bytes}").as_bytes());
        Some(KernelCode {
            name: shown_name(&name),
            target: target.to_owned(),
            form: Form::MachineCode,
            hash: hash.hex(),
            symbol: name,
            code_bytes: section.sh_size(Little),
            resources: Some(resources),
        })
    }

    /// The code of each section, with what it refers to.
    fn pieces(&self) -> Pieces {
        Pieces::of((0..self.sections.len()).map(|section| self.piece(section).unwrap_or_default()).collect())
    }

    fn piece(&self, section: usize) -> Option<Piece> {
        let header = self.sections.section(SectionIndex(section)).ok()?;
        let name =
            name(&self.sections, header).filter(|name| self.by_name.get(name) == Some(&SectionIndex(section)))?;
        let function = name.strip_prefix(b".text.")?;
        let (mut hash, mut refers_to) = (Fingerprint::default(), BTreeSet::new());
        hash.add(header.data(Little, self.bytes).ok()?);
        self.add_constants(&mut hash, function);
        for Reference { at, kind, addend, symbol } in self.references.get(&section).into_iter().flatten() {
            let symbol = self.symbols.symbol(SymbolIndex(*symbol)).ok()?;
            hash.add(format!("{at} {kind} {addend} {}", readable(&self.name_of(symbol))).as_bytes());
            refers_to.extend(is_code(symbol).then_some(usize::from(symbol.st_shndx.get(Little).0)));
        }
        Some(Piece { hash: hash.hex(), refers_to })
    }

    /// Bank 0 has a launch's parameters; others have numbers of the code.
    fn add_constants(&self, hash: &mut Fingerprint, function: &[u8]) {
        for bank in 1..=9 {
            hash.add(self.data_of(&[format!(".nv.constant{bank}.").as_bytes(), function].concat()));
        }
    }

    fn name_of(&self, symbol: &Sym64<Little>) -> String {
        let name = symbol.name(Little, self.symbols.strings()).unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }

    fn section(&self, name: &[u8]) -> Option<&'a SectionHeader64<Little>> {
        self.sections.section(*self.by_name.get(name)?).ok()
    }

    fn data_of(&self, name: &[u8]) -> &'a [u8] {
        self.section(name).and_then(|section| section.data(Little, self.bytes).ok()).unwrap_or_default()
    }
}

fn is_read(sections: &Sections, section: &SectionHeader64<Little>) -> bool {
    let name = name(sections, section).unwrap_or_default();
    section.sh_type(Little) == SHT_RELA || name.starts_with(b".text.") || name.starts_with(b".nv.constant")
}

fn name<'a>(sections: &Sections<'a>, section: &SectionHeader64<Little>) -> Option<&'a [u8]> {
    sections.section_name(Little, section).ok()
}
