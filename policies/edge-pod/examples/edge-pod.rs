//! The policy as a native program, for `gotong policy test`: a question a line, an answer a line.

fn main() -> std::io::Result<()> {
    gotong_policy::native::serve(gotong_edge_pod::answer)
}
