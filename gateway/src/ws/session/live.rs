//! The loop of a session.
//!
//! Owns the order of a turn, and when the session rests. Promises that whoever is written to by others has nothing to say
//! itself, that nothing is left undone when it waits, and that other tasks have their turn (P3, P8). Never decides what is
//! said.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use futures_util::FutureExt as _;
use tokio::{task::coop, time::Sleep};
use tokio_util::sync::WaitForCancellationFuture;

use super::{Ending, Session, Socket, full_event, plain_event, writer::Turn};
use crate::relay::{event::Form, inbox::Direct};

impl<S: Socket> Session<S> {
    /// Lives until it is to end.
    pub(super) async fn live(&mut self) -> Ending {
        let drain = self.terms.drain.clone();
        let mut drained = pin!(drain.cancelled());
        let mut sleep = pin!(tokio::time::sleep_until(self.due()));
        poll_fn(|cx| {
            // Nobody else writes while this goes on.
            self.socket.rest(false);
            let ended = self.poll_live(cx, sleep.as_mut(), drained.as_mut());
            if ended.is_pending() && self.is_quiet() {
                self.socket.rest(true);
            }
            ended
        })
        .await
    }

    /// Does whatever can be done now, until nothing can.
    fn poll_live(
        &mut self,
        cx: &mut Context<'_>,
        mut sleep: Pin<&mut Sleep>,
        drained: Pin<&mut WaitForCancellationFuture<'_>>,
    ) -> Poll<Ending> {
        if self.leaving.is_none() && drained.poll(cx).is_ready() {
            self.go_away();
        }
        loop {
            // However much there is to do, other tasks have their turn.
            ready!(coop::poll_proceed(cx)).made_progress();
            self.relay.inbox().register(cx.waker());
            while let Some(told) = self.relay.inbox().next_told() {
                self.told(told);
            }
            self.release();
            self.fill();
            if let Some(ending) = self.ending.take() {
                return Poll::Ready(ending);
            }
            let due = self.due();
            if due < sleep.deadline() || sleep.is_elapsed() {
                sleep.as_mut().reset(due);
            }
            if sleep.as_mut().poll(cx).is_ready() {
                self.tick();
                continue;
            }
            if !self.is_full()
                && let Some(page) = self.pages.front_mut()
                && let Poll::Ready(done) = page.poll_unpin(cx)
            {
                self.pages.pop_front();
                self.done(done);
                continue;
            }
            let reads = self.reads();
            match ready!(self.writer.poll_turn(cx, &mut self.socket, reads)) {
                Turn::Written | Turn::Blocked => {}
                Turn::Gone => return Poll::Ready(Ending::BROKEN),
                Turn::Incoming(incoming) => self.incoming(incoming),
            }
        }
    }

    /// Whether nothing is to be written but what its rooms have.
    fn is_quiet(&self) -> bool {
        self.writer.is_empty()
            && self.answers.is_empty()
            && self.ready.is_empty()
            && self.seats.iter().all(|seat| seat.is_live())
    }

    /// Lets a room's driver write events while this session rests, once `joined` stands before them.
    pub(super) fn be_direct(&self, room: &str) {
        let Some(seat) = self.seats.get(room).filter(|seat| seat.is_live()) else { return };
        let Some(wake) = &seat.wake else { return };
        let (outlet, form) = (self.socket.outlet(), self.form());
        let make = match form {
            Form::Full => full_event,
            Form::Plain => plain_event,
        };
        wake.be_direct(Direct { outlet, form, make });
    }
}
