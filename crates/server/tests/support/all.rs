//! What the tests of the whole program share: the program in a folder of its own, a client that signs, the events.

pub(crate) mod client;
pub(crate) mod dice;
pub(crate) mod events;
pub(crate) mod process;
pub(crate) mod served;
pub(crate) mod server;
