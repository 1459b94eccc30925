//! How long each pass takes, for `--timings`.
//!
//! The library marks its passes as spans of `tracing`, so the pipeline stays a list of passes; this file
//! listens, and adds up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::table::{Side, Table};

/// The time of one pass, for one target.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Timing {
    /// Empty for what is done once for all targets.
    target: Option<&'static str>,
    pass: &'static str,
    seconds: f64,
}

/// Takes the times of the passes that run in this thread while it lives.
pub(super) struct Timings {
    listener: Listener,
    taken: Vec<Timing>,
    _default: tracing::subscriber::DefaultGuard,
}

impl Timings {
    pub(super) fn start() -> Self {
        let listener = Listener::default();
        let guard = tracing::subscriber::set_default(listener.clone());
        Self { listener, taken: Vec::new(), _default: guard }
    }

    /// Notes what ran since the last time as done for `target`.
    pub(super) fn end(&mut self, target: Option<&'static str>) {
        for (pass, time) in self.listener.take() {
            self.taken.push(Timing { target, pass, seconds: time.as_secs_f64() });
        }
    }

    /// All times, in the order in which the passes ran.
    pub(super) fn taken(&self) -> &[Timing] {
        &self.taken
    }

    /// The same, for people: a row a pass.
    pub(super) fn text(&self) -> String {
        let columns = [("target", Side::Left), ("pass", Side::Left), ("µs", Side::Right)];
        let mut table = Table::new(columns);
        for Timing { target, pass, seconds } in &self.taken {
            let microseconds = format!("{:.1}", seconds * 1e6);
            table.row([target.unwrap_or("all").to_owned(), (*pass).to_owned(), microseconds]);
        }
        table.render()
    }
}

/// Spans of one thread, as they are entered and left.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Spans>>);

#[derive(Default)]
struct Spans {
    names: Vec<&'static str>,
    /// The spans that are entered and not left, each with when that was.
    open: Vec<(u64, Instant)>,
    /// In the order in which they were left.
    done: Vec<(&'static str, Duration)>,
}

impl Listener {
    fn take(&self) -> Vec<(&'static str, Duration)> {
        std::mem::take(&mut self.spans().done)
    }

    fn spans(&self) -> std::sync::MutexGuard<'_, Spans> {
        // Every change is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target().starts_with("minild")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut spans = self.spans();
        spans.names.push(span.metadata().name());
        Id::from_u64(spans.names.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, span: &Id) {
        self.spans().open.push((span.into_u64(), Instant::now()));
    }

    fn exit(&self, span: &Id) {
        let now = Instant::now();
        let mut spans = self.spans();
        let span = span.into_u64();
        let Some(at) = spans.open.iter().rposition(|(open, _)| *open == span) else { return };
        let (_, start) = spans.open.remove(at);
        // Ids count from 1, as they must not be 0.
        let name = usize::try_from(span - 1).ok().and_then(|index| spans.names.get(index).copied());
        spans.done.extend(name.map(|name| (name, now - start)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_told_in_the_order_in_which_they_end() {
        let mut timings = Timings::start();
        tracing::info_span!("first").in_scope(|| ());
        timings.end(None);
        tracing::info_span!("outer").in_scope(|| tracing::info_span!("inner").in_scope(|| ()));
        timings.end(Some("x86_64-linux"));
        let told: Vec<_> = timings.taken().iter().map(|row| (row.target, row.pass)).collect();
        let target = Some("x86_64-linux");
        assert_eq!(told, [(None, "first"), (target, "inner"), (target, "outer")]);
    }
}
