//! One file a command: its flags, and what it does with the library.

pub mod compare;
