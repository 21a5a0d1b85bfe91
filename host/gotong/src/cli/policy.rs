//! stub
#[derive(Debug, clap::Subcommand)]
pub enum PolicyCommand { Check }
pub fn run(_: &PolicyCommand) -> Result<(), std::io::Error> { Ok(()) }
