//! Kernels as they lie in files: in what nvcc makes (`fixtures/kernel_code`), anywhere in a program, and in what anybody may
//! have written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Ran, fakes, run, trace};

const FIXTURES: &str = "tests/fixtures/kernel_code";

fn fixture(name: &str) -> PathBuf {
    Path::new(FIXTURES).join(name)
}

fn kernels(args: &[&str]) -> Ran {
    run(&[&["kernels"], args].concat())
}

/// All that is said of the kernels in a file.
fn json(file: &Path) -> Vec<Value> {
    let ran = kernels(&["--format", "json", file.to_str().unwrap()]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    json["kernels"].as_array().unwrap().clone()
}

/// Symbols with their targets and hashes.
fn hashes(file: &Path) -> BTreeSet<String> {
    json(file).iter().map(|kernel| format!("{} {} {}", kernel["symbol"], kernel["target"], kernel["hash"])).collect()
}

/// What cuobjdump says: registers, stack and shared memory, by architecture and symbol.
fn resources() -> BTreeMap<(String, String), [u64; 3]> {
    let text = std::fs::read_to_string(fixture("resources.txt")).unwrap();
    let (mut found, mut target, mut symbol) = (BTreeMap::new(), String::new(), String::new());
    for line in text.lines() {
        if let Some(named) = line.strip_prefix("arch = ") {
            named.clone_into(&mut target);
        } else if let Some(named) = line.trim().strip_prefix("Function ") {
            named.trim_end_matches(':').clone_into(&mut symbol);
        } else if line.contains("REG:") {
            let number = |word: &str| line.split(word).nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
            found.insert((target.clone(), symbol.clone()), ["REG:", "STACK:", "SHARED:"].map(number));
        }
    }
    found
}

#[test]
fn machine_code_takes_what_nvidias_tool_says() {
    let found = json(&fixture("old.fatbin"));
    let text = |kernel: &Value, field: &str| kernel[field].as_str().unwrap().to_owned();
    let ours = found.iter().filter(|kernel| kernel["form"] == "machine_code").map(|kernel| {
        let numbers = ["registers", "local_bytes", "shared_bytes"].map(|field| kernel[field].as_u64().unwrap());
        ((text(kernel, "target"), text(kernel, "symbol")), numbers)
    });
    let ours: BTreeMap<_, _> = ours.collect();
    assert!(ours.len() == 8 && ours == resources(), "{ours:#?}");
    let ptx: Vec<String> =
        found.iter().filter(|kernel| kernel["form"] == "ptx").map(|kernel| text(kernel, "name")).collect();
    assert_eq!(ptx, ["local<16>", "outer::scale", "reversed", "same"]);
}

/// However they are packed, they are the same kernels.
#[test]
fn a_kernel_is_the_same_however_it_is_packed() {
    let all = hashes(&fixture("old.fatbin"));
    let lz4 = hashes(&fixture("lz4.fatbin"));
    assert!(lz4.len() == 8 && lz4.is_subset(&all), "{lz4:#?}\n{all:#?}");
    let of_text = hashes(&fixture("kernels.ptx"));
    assert!(of_text.len() == 4 && of_text.is_subset(&all), "{of_text:#?}");
    assert_eq!(hashes(&fixture("kernels.cubin")).len(), 4);
}

/// As a linker lays out constants: nothing is aligned, and other text follows at once.
#[test]
fn kernels_are_found_anywhere_in_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let (mut program, file) =
        (b"\x7fELF\x02\x01\x01\0 a program .version of something".to_vec(), folder.path().join("program"));
    for name in ["new.fatbin", "kernels.ptx", "kernels.cubin", "old.fatbin"] {
        program.extend(std::fs::read(fixture(name)).unwrap());
        program.extend(b"src/main.rscalled `Option::unwrap()` on a `None` value.entry { \0\x50\xed\x55\xba\x01");
    }
    std::fs::write(&file, program).unwrap();
    let expected: BTreeSet<String> = ["new.fatbin", "kernels.ptx", "kernels.cubin", "old.fatbin"]
        .iter()
        .flat_map(|name| hashes(&fixture(name)))
        .collect();
    assert_eq!(hashes(&file), expected);
    // And a folder's files are one set of kernels.
    std::fs::copy(fixture("lz4.fatbin"), folder.path().join("library.so")).unwrap();
    assert_eq!(hashes(folder.path()), expected);
}

#[test]
fn kernels_are_a_table() {
    let old = fixture("old.fatbin");
    let sources = ["--sources", FIXTURES];
    insta::assert_snapshot!(
        "kernels",
        kernels(&[sources.as_slice(), &["--top", "9", old.to_str().unwrap()]].concat()).out
    );
    let none = kernels(&[fixture("make").to_str().unwrap()]);
    assert!(
        none.code == 0 && none.out.contains("0 kernels of machine code") && none.out.contains("the library"),
        "{}",
        none.out
    );
    let gone = kernels(&["no-such-program"]);
    assert!(gone.code == 2 && gone.err.contains("no-such-program"), "{}", gone.err);
}

#[test]
fn two_programs_differ_in_their_code() {
    let (old, new) = (fixture("old.fatbin"), fixture("new.fatbin"));
    // The wrong file, most likely.
    let none = kernels(&["--diff", old.to_str().unwrap(), fixture("make").to_str().unwrap()]);
    assert!(none.code == 0 && none.err.starts_with("warning: there are no kernels in "), "{}", none.err);
    let diff = |args: &[&str]| kernels(&[args, &["--diff", old.to_str().unwrap(), new.to_str().unwrap()]].concat());
    insta::assert_snapshot!("kernels_diff", diff(&[]).out);
    let json: Value = serde_json::from_str(&diff(&["--format", "json", "--match", "scale"]).out).unwrap();
    let changed = json["changed"].as_array().unwrap();
    // What it calls has changed, in its PTX, too.
    assert!(changed.len() == 3 && changed.iter().all(|row| row["what"] == "other_code"), "{json:#}");
    let same: Value = serde_json::from_str(
        &kernels(&["--format", "json", "--diff", old.to_str().unwrap(), old.to_str().unwrap()]).out,
    )
    .unwrap();
    assert_eq!((same["same"].as_u64(), &same["changed"]), (Some(12), &serde_json::json!([])));
}

/// Programs of several files call functions that lie elsewhere.
#[test]
fn what_a_kernel_calls_is_its_code() {
    let [old, new] = ["linked-old.fatbin", "linked-new.fatbin"].map(fixture);
    let args = ["--format", "json", "--diff", old.to_str().unwrap(), new.to_str().unwrap()];
    let json: Value = serde_json::from_str(&kernels(&args).out).unwrap();
    let scale = json["changed"].as_array().unwrap().iter().find(|row| row["name"] == "outer::scale").unwrap();
    assert!(scale["what"] == "other_code" && scale["old"]["code_bytes"] == scale["new"]["code_bytes"], "{scale:#}");
    assert_eq!(json["same"], 1);
}

/// What moved the time, beside what is known of the code.
#[test]
fn traces_are_joined_with_the_code_of_their_programs() {
    let folder = tempfile::tempdir().unwrap();
    let program = fakes().program.to_str().unwrap();
    let save = |name: &str, mean: u64| {
        let file = folder.path().join(name).to_str().unwrap().to_owned();
        let names = ["_Z4samePf", "reversed", "_ZN5outer5scaleEPff", "elsewhere"];
        let doing = names.iter().enumerate().map(|(at, name)| {
            let start = 1000 + at as u64 * 100_000;
            format!("kernel {name} 0 {start} {} {} 32 0 1", start + mean, at + 1)
        });
        let doing: Vec<String> = doing.collect();
        let doing: Vec<&str> = doing.iter().map(String::as_str).collect();
        assert_eq!(trace(&[&["--output", &file, "--", program], doing.as_slice()].concat()).code, 0);
        file
    };
    let (base, head) = (save("base.trace", 1000), save("head.trace", 2000));
    let (old, new) = (fixture("old.fatbin"), fixture("new.fatbin"));
    let programs = ["--programs", old.to_str().unwrap(), new.to_str().unwrap()];
    let ran = trace(&[&["--diff", &base, &head], programs.as_slice()].concat());
    insta::assert_snapshot!("diff_with_code", ran.out);
    let ran = trace(&[&["--format", "json", "--diff", &base, &head], programs.as_slice()].concat());
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["code"]["same"], serde_json::json!({"code": "same"}));
    let reversed = &json["code"]["reversed"];
    assert!(
        reversed["code"] == "changed" && reversed["what"] == "other_code" && reversed["old"]["shared_bytes"] == 2048,
        "{json:#}"
    );
    assert_eq!(json["code"].as_object().unwrap().len(), 3, "the fourth is in neither program");
}

#[test]
fn where_a_kernel_is_written_is_linked_for_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        let output = Command::new("git").arg("-C").arg(folder.path()).args(identity).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    std::fs::create_dir(folder.path().join("kernels")).unwrap();
    let source = folder.path().join("kernels/kernels.cu");
    std::fs::copy(fixture("kernels.cu"), &source).unwrap();
    git(&["init", "-q"]);
    git(&["remote", "add", "origin", "https://user:secret@github.com/owner/name.git"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "a"]);
    let said = || {
        let (sources, file) = (folder.path().join("kernels"), fixture("old.fatbin"));
        let args =
            ["--format", "json", "--match", "same", "--sources", sources.to_str().unwrap(), file.to_str().unwrap()];
        serde_json::from_str::<Value>(&kernels(&args).out).unwrap()["kernels"][0]["source"].clone()
    };
    let link = format!("https://github.com/owner/name/blob/{}/kernels/kernels.cu#L11", git(&["rev-parse", "HEAD"]));
    assert_eq!(said(), serde_json::json!({"path": "kernels.cu", "line": 11, "link": link}));
    // Its lines would be others.
    std::fs::write(&source, std::fs::read_to_string(&source).unwrap() + "\n").unwrap();
    assert_eq!(said(), serde_json::json!({"path": "kernels.cu", "line": 11}));
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }
}

/// Cut anywhere, with any bits the other way, and with numbers of any size in their headers: a sentence at most.
#[test]
fn broken_files_are_read_as_far_as_they_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(1);
    let mut count = 0;
    let mut write = |bytes: &[u8]| {
        std::fs::write(folder.path().join(count.to_string()), bytes).unwrap();
        count += 1;
    };
    for name in ["old.fatbin", "lz4.fatbin", "kernels.cubin", "kernels.ptx"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        (0..100).for_each(|_| write(&whole[..random.below(whole.len())]));
        for _ in 0..300 {
            let mut broken = whole.clone();
            for _ in 0..=random.below(8) {
                let at = random.below(broken.len());
                broken[at] ^= 1 << random.below(8);
            }
            write(&broken);
        }
        for _ in 0..200 {
            let mut broken = whole.clone();
            // Headers are at the beginning and, of machine code, at the end.
            let at = if random.below(2) == 0 { random.below(200) } else { broken.len() - 8 - random.below(2500) };
            let number = [0, u64::MAX, 1 << 63, 1 << 31, random.below(1 << 30) as u64][random.below(5)];
            broken[at..at + 8].copy_from_slice(&number.to_le_bytes());
            write(&broken);
        }
    }
    let ran = kernels(&[folder.path().to_str().unwrap()]);
    assert!(ran.code == 0 && ran.out.contains("reversed"), "{}{}", ran.out, ran.err);
    assert!(ran.err.starts_with("warning: ") && ran.err.lines().count() == 1, "{}", ran.err);
}

/// What is cut off isn't gone.
#[test]
fn a_file_that_is_cut_off_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    for (name, length) in [("old.fatbin", 2000), ("kernels.cubin", 600), ("kernels.ptx", 500), ("kernels.ptx", 2500)] {
        let cut = folder.path().join(name);
        std::fs::write(&cut, &std::fs::read(fixture(name)).unwrap()[..length]).unwrap();
        let whole = fixture(name);
        for ran in
            [kernels(&[cut.to_str().unwrap()]), kernels(&["--diff", whole.to_str().unwrap(), cut.to_str().unwrap()])]
        {
            let said = "warning: 1 piece of what look like kernels can't be read: broken, or cut off\n";
            assert_eq!((ran.code, ran.err.as_str()), (0, said), "{name}");
        }
    }
}

/// A few bytes that say they are many.
#[test]
fn what_unpacks_to_more_than_there_is_room_for_is_left_out() {
    // A frame of Zstandard whose blocks are one byte 128 KiB times each.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    for _ in 0..2100 {
        frame.extend(((128_u32 << 10) << 3 | 0b010).to_le_bytes()[..3].iter().chain(b"x"));
    }
    frame.extend([0x01, 0x00, 0x00]);
    for (flags, unpacked) in [(0x8011_u64, 1_u64 << 20), (0x2011, 1 << 40)] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bomb.fatbin");
        let mut entry = [0_u8; 64];
        let mut put = |at: usize, bytes: &[u8]| entry[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &[2, 0, 1, 1, 64, 0, 0, 0]);
        put(8, &(frame.len() as u64).to_le_bytes());
        put(16, &(frame.len() as u32).to_le_bytes());
        put(28, &90_u32.to_le_bytes());
        put(40, &flags.to_le_bytes());
        put(56, &unpacked.to_le_bytes());
        let mut bytes = vec![0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0];
        bytes.extend((64 + frame.len() as u64).to_le_bytes());
        bytes.extend(entry.iter().chain(&frame));
        std::fs::write(&file, bytes).unwrap();
        let ran = kernels(&[file.to_str().unwrap()]);
        assert!(ran.code == 0 && ran.err.contains("1 piece"), "{flags:x}: {}{}", ran.out, ran.err);
    }
}

/// PTX may name its kernels as it likes.
#[test]
fn names_of_kernels_are_text() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.ptx");
    let text = ".version 9.0\n.target sm_90\n.visible .entry a$b(){ /* } */ // }\n ret; \"}\" }\n.entry c {\n .loc 1 2 3\n ret; }\n::error::x\n";
    std::fs::write(&file, text).unwrap();
    let ran = kernels(&[file.to_str().unwrap()]);
    assert!(ran.code == 0 && ran.out.contains(" a$b ") && ran.out.contains("2 of PTX"), "{}", ran.out);
    let hash = |text: &str| {
        std::fs::write(&file, text).unwrap();
        json(&file).iter().find(|kernel| kernel["symbol"] == "c").unwrap()["hash"].clone()
    };
    // Comments and lines of the source are no code.
    let other = text.replace(".loc 1 2 3\n", "// said\n.loc 1 9 9\n\n");
    assert_eq!(hash(text), hash(&other));
    assert_ne!(hash(text), hash(&text.replace("3\n ret;", "3\n exit;")));
}

/// Each byte is looked at a few times, however often something seems to begin.
#[test]
fn many_beginnings_take_no_longer_than_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    std::fs::write(&file, ".version 9.0\n.target sm_90\n".repeat(400_000)).unwrap();
    let ran = kernels(&[file.to_str().unwrap()]);
    assert!(ran.code == 0 && ran.out.contains("0 of PTX"), "{}{}", ran.out, ran.err);
}

#[test]
fn a_text_that_is_in_no_name_is_told() {
    let file = fixture("old.fatbin");
    let (ran, all) = (kernels(&["--match", "zzz", file.to_str().unwrap()]), json(&file).len());
    assert_eq!((ran.code, ran.out), (0, format!("none of {all} kernels has zzz in its name\n")));
}
