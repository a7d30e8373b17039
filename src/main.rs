//! The `callgate` program: everything it does is in the library, so that it can be tested there.

fn main() -> std::process::ExitCode {
    callgate::main()
}
