//! One file a command: its flags, and what it does with the library.

pub mod accept;
pub mod base;
pub mod baseline;
pub mod calibrate;
pub mod ci;
pub mod compare;
pub mod generate;
pub mod guard;
pub mod init;
pub mod plan;
pub mod profile;
pub mod publish;
pub mod run;
pub mod schema;
pub mod worker;
