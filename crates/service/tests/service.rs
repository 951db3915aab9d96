//! The domain with real parts in one process: a store, the HSM's engine, a ledger, a clock that is moved by hand.

#[cfg(test)]
#[path = "service/world.rs"]
mod world;
