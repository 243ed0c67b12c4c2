//! Names of kernels as people read them. They are foreign text: whatever they hold, making them readable takes bounded time
//! and room.

use std::fmt;

use cpp_demangle::{DemangleOptions, DemangleWrite, ParseOptions, Symbol};

/// Bytes of a name that are looked at.
const LONGEST: usize = 4096;
/// And of what becomes of it: a short mangled name can stand for a very long one.
const MOST: usize = 8192;
/// Characters of a name that is shown.
const SHOWN: usize = 1000;
/// How deep templates may lie in each other.
const DEPTH: u32 = 64;

/// Of C++: without what it returns and takes, which its name, shape and template already tell. Any other is left as it is.
pub fn readable(mangled: &str) -> String {
    let name = cut(mangled, LONGEST);
    let name = name.split(" [clone ").next().unwrap_or_default();
    let name = demangled(name).unwrap_or_else(|| name.to_owned());
    let name = name.strip_prefix("void ").unwrap_or(&name);
    without_build(without_parameters(name).trim())
}

/// As traces show it: no longer than anybody reads.
pub fn shown_name(mangled: &str) -> String {
    readable(mangled).chars().take(SHOWN).collect()
}

/// nvcc puts what is local to a file into a namespace that is named after the file's content: another build, another name.
fn without_build(name: &str) -> String {
    let mut parts = name.split("_INTERNAL_");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once("::").map_or(part, |(_, rest)| rest))
}

fn demangled(name: &str) -> Option<String> {
    // Anything else could be read as the name of a type: `a` is C++'s short word for one.
    if !name.starts_with("_Z") {
        return None;
    }
    let parsing = ParseOptions::default().recursion_limit(DEPTH);
    let symbol = Symbol::new_with_options(name, &parsing).ok()?;
    let options = DemangleOptions::new().no_params().no_return_type().recursion_limit(DEPTH);
    let mut bounded = Bounded(String::new());
    symbol.structured_demangle(&mut bounded, &options).ok()?;
    Some(bounded.0)
}

/// Text that stops at its limit.
struct Bounded(String);

impl DemangleWrite for Bounded {
    fn write_string(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MOST {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Programs that name their kernels in readable C++ tell the parameters as well.
fn without_parameters(name: &str) -> &str {
    if !name.ends_with(')') {
        return name;
    }
    let mut depth = 0_usize;
    for (at, c) in name.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' if depth == 1 => return if at == 0 { name } else { &name[..at] },
            '(' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    name
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cpp_are_readable_without_their_parameters() {
        for (mangled, expected) in [
            ("_Z4gemvPfS_", "gemv"),
            (
                "_ZN2at6native13reduce_kernelILi512ELi1ENS0_8ReduceOpIfEEEEvT1_",
                "at::native::reduce_kernel<512, 1, at::native::ReduceOp<float> >",
            ),
            ("_ZN43_GLOBAL__N__2f3bb9a4_10_softmax_cu_9f978f637softmaxEPf", "(anonymous namespace)::softmax"),
            ("_ZN32_INTERNAL_8d7ba95a_4_k_cu_3f1c2b4scanEPf", "scan"),
            ("decode_step", "decode_step"),
            ("a", "a"),
            ("void ns::run<float>(float*, int (*)(int))", "ns::run<float>"),
            ("triton_poi_fused_add_0", "triton_poi_fused_add_0"),
            ("", ""),
            ("(x)", "(x)"),
        ] {
            assert_eq!(readable(mangled), expected, "{mangled}");
        }
    }

    #[test]
    fn hostile_names_end() {
        let doubling: String = (0..200).map(|number| format!("S{}_S{}_", number % 9, number % 9)).collect();
        let deep = format!("_Z{}f", "N1a".repeat(1300));
        for name in [
            format!("_ZN1aI{doubling}EE"),
            deep,
            "(".repeat(100_000),
            format!("_Z1fI{}", "1aI".repeat(1300)),
            "é".repeat(5000),
        ] {
            assert!(readable(&name).len() <= MOST);
        }
    }
}
