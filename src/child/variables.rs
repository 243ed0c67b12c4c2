//! What children see of our environment: a list of names for each kind of child, and nothing else.
//!
//! A list of what passes, not of what doesn't: nobody can list the names of all secrets. Where a family of names passes
//! (`CUDA_*`), those in it that [look like a secret](looks_secret) don't.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};

/// The variables of one child.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

/// What every program may need to run at all.
const COMMON: &[&str] = &["PATH", "LANG", "TZ", "TMPDIR"];
/// Whose home directory and files are used.
const USER: &[&str] = &["HOME", "USER", "LOGNAME", "XDG_CACHE_HOME"];
/// Proxies and certificates. The address of a proxy may hold its password.
const NETWORK: &[&str] = &[
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];
const RUNNING: &[&str] = &["LD_LIBRARY_PATH", "RAYON_NUM_THREADS", "RUST_BACKTRACE", "SSL_CERT_FILE", "SSL_CERT_DIR"];
const RUNNING_FAMILIES: &[&str] = &["LC_", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "BENCH_DIFF_WORKER_"];
/// What Python and its libraries for models are set by, for a program that somebody traces at a terminal.
const TRACED: &[&str] = &["CONDA_PREFIX", "VIRTUAL_ENV"];
const TRACED_FAMILIES: &[&str] =
    &["HF_", "MODELSCOPE_", "NCCL_", "PYTHON", "PYTORCH_", "TORCH", "TRANSFORMERS_", "TRITON_", "VLLM_"];
/// Where weights are downloaded from and to. Nothing else needs these.
const HUB: &[&str] = &[
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "HF_TOKEN_PATH",
    "MODELSCOPE_CACHE",
    "MODELSCOPE_ENDPOINT",
    "MODELSCOPE_DOMAIN",
];
const BUILDING: &[&str] = &[
    // Compilers, and what they look for where.
    "AR",
    "CC",
    "CFLAGS",
    "CPATH",
    "CPP",
    "CPPFLAGS",
    "CXX",
    "CXXFLAGS",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "HOST_CC",
    "HOST_CXX",
    "LD",
    "LDFLAGS",
    "LD_LIBRARY_PATH",
    "LIBRARY_PATH",
    "LIBCLANG_PATH",
    "NM",
    "PKG_CONFIG_LIBDIR",
    "PKG_CONFIG_PATH",
    "PKG_CONFIG_SYSROOT_DIR",
    "RANLIB",
    "SOURCE_DATE_EPOCH",
    "TARGET_CC",
    "TARGET_CXX",
    "DEVELOPER_DIR",
    "MACOSX_DEPLOYMENT_TARGET",
    "SDKROOT",
    // Cargo and Rust.
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_HOME",
    "CARGO_INCREMENTAL",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "RUSTUP_DIST_SERVER",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "RUSTUP_UPDATE_ROOT",
    "RUST_BACKTRACE",
    // Caches and other languages.
    "CCACHE_DIR",
    "CI",
    "CONDA_PREFIX",
    "PYTHONPATH",
    "SCCACHE_DIR",
    "SHELL",
    "VIRTUAL_ENV",
];
const BUILDING_FAMILIES: &[&str] = &[
    "LC_",
    "CARGO_BUILD_",
    "CARGO_NET_",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CMAKE_",
    "CUDA_",
    "CUDNN_",
    "NVCC_",
    "NVIDIA_",
];

/// What git gets besides: it takes settings from the command line and from the repository that it is given, which is
/// ours, and asks nobody. Addresses are what an address or a server's redirect may be.
const GIT: &[(&str, &str)] = &[
    ("GIT_ALLOW_PROTOCOL", "https:ssh:file"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_NO_LAZY_FETCH", "1"),
    // A name under refs/replace/ would show other content for a commit.
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C"),
];

impl Environment {
    /// For the measured program, which may come from a pull request. Where it has to get its weights, it is told where
    /// from, and gets `hub_token`, the variable of the hub's token: the one secret of ours that a child may have.
    pub fn measured(hub_token: Option<&str>) -> Self {
        let environment = Self::of(&[COMMON, USER, RUNNING], RUNNING_FAMILIES);
        match hub_token {
            Some(token) => environment.and(Self::of(&[HUB, NETWORK, &[token]], &[])),
            None => environment,
        }
    }

    /// For a program that somebody names to be traced: as measured, and what finds its Python and its libraries.
    pub fn traced() -> Self {
        Self::measured(None).and(Self::of(&[TRACED], TRACED_FAMILIES))
    }

    /// The tracer of this process, if somebody traces it, for what this process starts: the measured program's own engine.
    #[must_use]
    pub fn traced_as_this(self) -> Self {
        self.and_ours("BENCH_DIFF_TRACE_DIRECTORY").and_ours("BENCH_DIFF_CUPTI")
    }

    /// For what builds programs: no secret, whatever it is called. `extra` are the names that the user adds.
    pub fn building(extra: &[String]) -> Self {
        let extra: Vec<&str> = extra.iter().map(String::as_str).collect();
        // Our own code reads it.
        Self::of(&[COMMON, USER, NETWORK, BUILDING, &extra], BUILDING_FAMILIES).with("CARGO_TERM_COLOR", "never")
    }

    /// For git where it only reads: neither the machine's settings nor the user's count.
    pub fn git() -> Self {
        let environment = GIT.iter().fold(Self::of(&[COMMON], &[]), |all, (name, value)| all.with(name, value));
        environment.with("GIT_CONFIG_NOSYSTEM", "1").with("GIT_CONFIG_GLOBAL", "/dev/null")
    }

    /// For git where it fetches beside a token: as where it reads, and the way to the network.
    pub fn fetching() -> Self {
        Self::git().and(Self::of(&[NETWORK], &[]))
    }

    /// For git where it fetches as the user, without a token of ours: the user's and the machine's own settings and keys
    /// count; they may know a proxy, or how to sign in.
    pub fn fetching_as_user() -> Self {
        let mut environment = Self::fetching().and(Self::of(&[USER, &["SSH_AUTH_SOCK", "XDG_CONFIG_HOME"]], &[]));
        ["GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL"]
            .iter()
            .for_each(|name| drop(environment.0.remove(OsStr::new(name))));
        environment
    }

    /// For what builds in a tree of its own: as ever, but that no other place for what is built counts.
    pub fn building_in_place(extra: &[String]) -> Self {
        let mut environment = Self::building(extra);
        ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"]
            .iter()
            .for_each(|name| drop(environment.0.remove(OsStr::new(name))));
        environment
    }

    /// With that variable of ours, if it is set.
    #[must_use]
    pub fn and_ours(self, name: &str) -> Self {
        match env::var_os(name) {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Sets one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }

    fn of(lists: &[&[&str]], families: &[&str]) -> Self {
        Self(
            env::vars_os()
                .filter(|(name, _)| name.to_str().is_some_and(|name| passes(name, lists, families)))
                .collect(),
        )
    }

    fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

fn passes(name: &str, lists: &[&[&str]], families: &[&str]) -> bool {
    lists.iter().any(|list| list.contains(&name))
        || families.iter().any(|family| name.starts_with(family)) && !looks_secret(name)
}

/// Within a family: does a word of the name say that the value is a secret?
fn looks_secret(name: &str) -> bool {
    const PARTS: [&str; 7] = ["TOKEN", "KEY", "SECRET", "PASSW", "PASSPHRASE", "CRED", "BEARER"];
    const WORDS: [&str; 8] = ["PAT", "PASS", "PW", "PWD", "AUTH", "PIN", "JWT", "GHP"];
    let name = name.to_ascii_uppercase();
    PARTS.iter().any(|part| name.contains(part))
        || name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(name: &str) -> bool {
        passes(name, &[COMMON, USER, RUNNING], RUNNING_FAMILIES)
    }

    fn building(name: &str) -> bool {
        passes(name, &[COMMON, USER, NETWORK, BUILDING], BUILDING_FAMILIES)
    }

    #[test]
    fn what_is_on_no_list_passes_nowhere() {
        for name in [
            "GITHUB_TOKEN",
            "GH_PAT",
            "MY_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "INPUT_GITHUB-TOKEN",
            "ACTIONS_RUNTIME_TOKEN",
            "HF_TOKEN",
            "CUDA_TOKEN",
            "CUDA_GH_PAT",
            "CARGO_REGISTRY_TOKEN",
            "CARGO_REGISTRIES_MINE_TOKEN",
            "CARGO_NET_PASSWORD",
            "CUDA_PASSPHRASE",
            "NVIDIA_NGC_JWT",
            "CARGO_BUILD_CREDS",
            "SSH_AUTH_SOCK",
            "BASH_ENV",
            "LD_PRELOAD",
            "GIT_DIR",
            "GIT_SSH_COMMAND",
            "GIT_CONFIG_COUNT",
        ] {
            assert!(!measured(name) && !building(name), "{name}");
        }
    }

    #[test]
    fn what_is_needed_passes() {
        for name in ["PATH", "HOME", "CUDA_VISIBLE_DEVICES", "CUDA_PATH", "LD_LIBRARY_PATH", "LC_ALL", "TMPDIR"] {
            assert!(measured(name) && building(name), "{name}");
        }
        for name in ["CARGO_HOME", "RUSTUP_HOME", "RUSTFLAGS", "CC", "https_proxy", "CUDA_COMPUTE_CAP"] {
            assert!(building(name), "{name}");
        }
    }

    #[test]
    fn a_traced_program_finds_its_python_and_no_secret() {
        let traced = |name: &str| passes(name, &[TRACED], TRACED_FAMILIES);
        for name in ["PYTHONPATH", "VIRTUAL_ENV", "HF_HUB_OFFLINE", "VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR"] {
            assert!(traced(name), "{name}");
        }
        for name in ["GITHUB_TOKEN", "HF_TOKEN", "MODELSCOPE_API_TOKEN", "VLLM_API_KEY", "AWS_SECRET_ACCESS_KEY"] {
            assert!(!traced(name), "{name}");
        }
    }

    #[test]
    fn gits_settings_are_ours() {
        let git = Environment::git();
        assert_eq!(git.get("GIT_CONFIG_GLOBAL"), Some(OsStr::new("/dev/null")));
        assert_eq!(git.get("HOME"), None);
        assert_eq!(Environment::fetching().get("HOME"), None);
        assert_eq!(Environment::fetching_as_user().get("GIT_CONFIG_GLOBAL"), None);
    }
}
