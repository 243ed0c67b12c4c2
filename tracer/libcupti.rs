//! Where CUPTI is: a process that has one already keeps it, else by name, else in the places where CUDA toolkits and
//! Python packages put it. `BENCH_DIFF_CUPTI` names it, and then nothing else counts.

use std::env;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const NAMES: [&str; 3] = ["libcupti.so.13", "libcupti.so.12", "libcupti.so"];
/// Below a toolkit.
const OF_TOOLKIT: [&str; 3] = ["extras/CUPTI/lib64", "lib64", "targets/x86_64-linux/lib"];
/// Below Python's folder of packages.
const OF_PACKAGES: [&str; 2] = ["nvidia/cu13/lib", "nvidia/cuda_cupti/lib"];

const LAZY: c_int = 1;
const ALREADY_LOADED: c_int = 4;

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// A loaded library. It stays.
pub struct Library {
    pub name: String,
    handle: *mut c_void,
}

impl Library {
    fn load(path: &OsStr, flags: c_int) -> Option<Self> {
        let name = CString::new(path.as_bytes()).ok()?;
        // SAFETY: a string of C; the library's own start is as safe as any.
        let handle = unsafe { dlopen(name.as_ptr(), LAZY | flags) };
        (!handle.is_null()).then(|| Self { name: path.to_string_lossy().into_owned(), handle })
    }

    /// # Safety
    /// `T` is the function's type.
    pub unsafe fn function<T: Copy>(&self, name: &CStr) -> Option<T> {
        const { assert!(size_of::<T>() == size_of::<*mut c_void>()) };
        // SAFETY: a loaded library and a string of C.
        let address = unsafe { dlsym(self.handle, name.as_ptr()) };
        // SAFETY: an address is as large as a function's, and the caller knows its type.
        (!address.is_null()).then(|| unsafe { std::mem::transmute_copy(&address) })
    }
}

/// Why there is none, in a sentence that says what to do.
pub fn open() -> Result<Library, String> {
    if let Some(named) = env::var_os("BENCH_DIFF_CUPTI") {
        return Library::load(&named, 0)
            .ok_or_else(|| format!("{} (BENCH_DIFF_CUPTI) can't be loaded", named.to_string_lossy()));
    }
    let loaded = NAMES.iter().find_map(|name| Library::load(OsStr::new(name), ALREADY_LOADED));
    let by_name = || NAMES.iter().find_map(|name| Library::load(OsStr::new(name), 0));
    let by_path = || paths().iter().find_map(|path| Library::load(path.as_os_str(), 0));
    loaded.or_else(by_name).or_else(by_path).ok_or_else(|| {
        "there is no libcupti.so.13 or libcupti.so.12: install the CUDA toolkit or the Python package nvidia-cuda-cupti, or \
         set BENCH_DIFF_CUPTI to the library's path"
            .to_owned()
    })
}

/// Those that exist.
fn paths() -> Vec<PathBuf> {
    let toolkits = ["CUDA_HOME", "CUDA_PATH"].iter().filter_map(env::var_os).map(PathBuf::from);
    let toolkits = toolkits.chain(["/usr/local/cuda".into(), "/opt/cuda".into()]);
    let of_toolkits = toolkits.flat_map(|toolkit| OF_TOOLKIT.map(|folder| toolkit.join(folder)));
    let of_packages = prefixes().into_iter().flat_map(|prefix| packages(&prefix));
    let of_packages = of_packages.flat_map(|packages| OF_PACKAGES.map(|folder| packages.join(folder)));
    let folders = of_toolkits.chain(of_packages);
    folders.flat_map(|folder| NAMES.map(|name| folder.join(name))).filter(|path| path.is_file()).collect()
}

/// Where Pythons are: an environment's folder, those of the PATH, a user's own.
fn prefixes() -> Vec<PathBuf> {
    let environments = ["VIRTUAL_ENV", "CONDA_PREFIX"].iter().filter_map(env::var_os).map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let of_path: Vec<PathBuf> = env::split_paths(&path).filter_map(|bin| bin.parent().map(Path::to_owned)).collect();
    let own = env::var_os("HOME").map(|home| Path::new(&home).join(".local"));
    environments.chain(of_path).chain(own).collect()
}

/// Folders of packages of a Python.
fn packages(prefix: &Path) -> Vec<PathBuf> {
    let versions = prefix.join("lib").read_dir().into_iter().flatten().flatten();
    let versions =
        versions.filter(|entry| entry.file_name().as_bytes().starts_with(b"python3")).map(|entry| entry.path());
    versions.flat_map(|version| ["site-packages", "dist-packages"].map(|folder| version.join(folder))).collect()
}
