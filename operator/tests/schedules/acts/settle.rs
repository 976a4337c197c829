//! How everybody goes home.

use std::sync::PoisonError;
use std::time::Duration;

use super::Others;
use crate::api::Deletion;

impl Others {
    /// Ends what keeps platforms from being ready.
    pub(crate) async fn settle(&self) {
        self.note("everybody goes home");
        self.restore();
        let taken = std::mem::take(&mut *self.taken.lock().unwrap_or_else(PoisonError::into_inner));
        for key in taken {
            let mine = self.world.store.get(&key);
            if mine.is_some_and(|object| object["metadata"]["labels"]["whose"] == "somebody's") {
                self.foreign
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .retain(|(held, _)| *held != key);
                self.note(format_args!("{key} is given back"));
                let _ = self.world.store.delete(&key, &Deletion::default());
            }
        }
        for name in &self.platforms {
            self.until_there(name).await;
        }
    }

    /// Waits until a platform is there and stays, and makes it where it has gone.
    async fn until_there(&self, name: &str) {
        let key = Self::key("logisticsplatforms", name);
        for _ in 0..60 {
            match self.world.store.get(&key) {
                Some(live) if live["metadata"]["deletionTimestamp"].is_null() => return,
                Some(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                None => self.create_platform(name),
            }
        }
        self.world
            .monitor
            .find(format_args!("platform {name} does not go"));
    }

    /// What of others was touched.
    pub(crate) fn touched(&self) -> Vec<String> {
        let mut touched = Vec::new();
        for (key, object) in self.foreign.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if self.world.store.get(key).as_ref() != Some(object) {
                touched.push(format!("{key} of somebody else is not as it was"));
            }
        }
        for (key, uid, field, value) in self.fields.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let live = self
                .world
                .store
                .get(key)
                .filter(|live| live["metadata"]["uid"] == *uid);
            if live.is_some_and(|live| live.pointer(field) != Some(value)) {
                touched.push(format!("{key}: {field} of somebody else is not as it was"));
            }
        }
        touched
    }
}
