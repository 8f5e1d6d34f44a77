//! Arguments in, exit code out.

use std::process::ExitCode;

use anyhow::Result;
use sealift::cli::args::{self, Cli, CliVerb};
use sealift::cli::{Exit, answer_a_shell, conclude, run};
use sealift::daemon;
use tokio::runtime::Builder;

fn main() -> ExitCode {
    answer_a_shell();
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A reader that went away needs no help text.
            let _ = error.print();
            return if error.use_stderr() { Exit::Error.into() } else { Exit::Done.into() };
        }
    };
    conclude(act(cli)).into()
}

fn act(cli: Cli) -> Result<Exit> {
    // The parts of the daemon work beside each other; a client waits for one answer at a time.
    let many = matches!(cli.verb, CliVerb::Serve(_) | CliVerb::Demo(_) | CliVerb::Emulate(_));
    let mut builder =
        if many { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    let runtime = builder.enable_all().build()?;
    let result = runtime.block_on(async {
        match &cli.verb {
            CliVerb::Serve(args) => daemon::serve(args, &cli.reach).await,
            CliVerb::Demo(args) => daemon::demo(args).await,
            _ => run(cli).await,
        }
    });
    // What still runs in the background was told to end or holds nothing; a thread that is stuck
    // must not hold the exit.
    runtime.shutdown_background();
    result
}
