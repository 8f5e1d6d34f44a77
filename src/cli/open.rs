//! `open`: a link that brings a browser in.
//!
//! Invariant: the link goes to standard output alone. No browser is started with it: what a process
//! is called with, every user of the host can read.

use std::io::Write as _;

use anyhow::Result;

use super::args::OpenArgs;
use super::client::Client;
use super::exit::{Exit, ExitFailure};
use super::place::DaemonPlace;
use super::reach::DaemonAddress;
use super::term;

/// `open`.
pub async fn open(client: &Client, args: &OpenArgs, daemon: &DaemonAddress) -> Result<Exit> {
    let DaemonPlace::Socket(socket) = daemon.place() else {
        let message =
            "a link is given on the daemon's host; from elsewhere sign in on its page with a token";
        return Err(ExitFailure::new(Exit::Error, message).into());
    };
    let link = client.link().await?;
    let Some(url) = link.url else {
        let message = format!(
            "no browser reaches this daemon: set `api.listen: 127.0.0.1:7633` and restart it, or bring the socket to your own machine with \
             `ssh -L 7633:{} HOST` and open http://localhost:7633/sign-in#{}",
            socket.display(),
            link.code
        );
        return Err(ExitFailure::new(Exit::Error, message).into());
    };
    let mut out = term::stdout();
    writeln!(out, "{url}")?;
    out.flush()?;
    if !args.print {
        term::say("open it within a minute; it is good once, and for you alone");
    }
    Ok(Exit::Done)
}
