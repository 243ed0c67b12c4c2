//! A readable name for hardware, as baseline files are named: `nvidia-h100-80gb-hbm3`.

use super::Environment;

impl Environment {
    /// Lower-case ASCII letters, digits and dashes only, whatever the driver calls the device.
    pub fn fingerprint(&self) -> String {
        match self.gpus.as_slice() {
            [] => {
                let cpu = self.cpu.as_deref().unwrap_or_default();
                format!("cpu-{}-{}c", slug(cpu), self.cpu_cores.unwrap_or_default())
            }
            [gpu] => slug(&gpu.name),
            [gpu, ..] => format!("{}-x{}", slug(&gpu.name), self.gpus.len()),
        }
    }
}

/// Longer names are cut: a file name has to stay one.
const MAX_SLUG: usize = 60;

fn slug(name: &str) -> String {
    let mut slug = String::new();
    // "(R)" and "(TM)" say nothing about the hardware.
    for c in name.replace("(R)", " ").replace("(TM)", " ").chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.truncate(MAX_SLUG);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "unknown".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Gpu;

    fn gpu(name: &str) -> Gpu {
        Gpu { name: name.to_owned(), ..Gpu::default() }
    }

    #[test]
    fn names_can_be_read() {
        let one = Environment { gpus: vec![gpu("NVIDIA H100 80GB HBM3")], ..Environment::default() };
        let two = Environment { gpus: vec![gpu("NVIDIA H200"); 2], ..Environment::default() };
        let cpu = Environment {
            cpu: Some("Intel(R) Xeon(R) CPU @ 2.20GHz".into()),
            cpu_cores: Some(2),
            ..Environment::default()
        };
        assert_eq!(one.fingerprint(), "nvidia-h100-80gb-hbm3");
        assert_eq!(two.fingerprint(), "nvidia-h200-x2");
        assert_eq!(cpu.fingerprint(), "cpu-intel-xeon-cpu-2-20ghz-2c");
    }

    #[test]
    fn a_name_never_leaves_its_directory() {
        let hostile = Environment { gpus: vec![gpu("../../etc/passwd\0")], ..Environment::default() };
        let empty = Environment { gpus: vec![gpu("///")], ..Environment::default() };
        assert_eq!(hostile.fingerprint(), "etc-passwd");
        assert_eq!(empty.fingerprint(), "unknown");
    }
}
