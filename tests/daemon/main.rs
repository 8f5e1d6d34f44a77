//! The built binary: the daemon and the verbs against it, whole nights against an emulated cloud,
//! and what is installed with it.

mod binary;
mod browser;
mod contract;
mod end_to_end;
mod notify;
mod package;
mod pages;
mod serve;
mod systemd;
mod upgrade;
