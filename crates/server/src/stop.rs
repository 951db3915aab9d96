//! The word to stop, which every part of the program hears.

use tokio::sync::watch;

/// Resolves when the program is to stop, also when whoever could say so is gone.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The guard that `wait_for` gives must not live across an await.
    drop(stop.wait_for(|stop| *stop).await);
}
