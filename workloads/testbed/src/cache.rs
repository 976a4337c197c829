//! A cache for the services.

use std::path::Path;

use anyhow::{Context as _, Result};
use logistics_schemas::config::{Cache, Redis, RedisCredentials, Tls, TlsMode};

use crate::Testbed;

/// Folder of the credentials.
const FOLDER: &str = "cache";

impl Testbed {
    /// From now on services keep answers in this Redis.
    pub fn use_cache(&mut self, redis: &dev_rig::Redis) -> Result<()> {
        self.cache = Some(cache_config(redis, &self.file(FOLDER))?);
        Ok(())
    }

    /// From now on services keep answers nowhere.
    pub fn use_no_cache(&mut self) {
        self.cache = None;
    }
}

/// What the operator gives to a service for this Redis, with the credentials in files of this folder.
pub fn cache_config(redis: &dev_rig::Redis, folder: &Path) -> Result<Cache> {
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    std::fs::write(folder.join("username"), &redis.username)?;
    write_cache_password(folder, &redis.password())?;
    Ok(Cache {
        redis: Redis {
            host: redis.host.clone(),
            port: redis.port,
            tls: Tls {
                mode: TlsMode::Verify,
                ca_file: Some(redis.ca_file.clone()),
            },
            credentials: Some(RedisCredentials {
                username_file: folder.join("username"),
                password_file: folder.join("password"),
            }),
        },
    })
}

/// Puts another password in that folder.
pub fn write_cache_password(folder: &Path, password: &str) -> Result<()> {
    std::fs::write(folder.join("password"), password)
        .with_context(|| format!("write a password in {}", folder.display()))
}
