//! The library from outside: its API over a real socket, its readers, its quota on virtual time, the wire against real servers, windows
//! against an oracle; and the order of the house.

mod api;
mod diagnostics;
mod plans;
mod probe;
mod quota;
mod tidy;
mod windows;
