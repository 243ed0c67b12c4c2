//! The hubs' variables, as their own programs read them.

use std::path::PathBuf;

use reqwest::Url;

use super::HubError;
use crate::files;

pub const HF_TOKEN: &str = "HF_TOKEN";
pub const MODELSCOPE_TOKEN: &str = "MODELSCOPE_API_TOKEN";

/// Where a hub is, where its files go, and who asks.
pub struct Place {
    pub endpoint: Url,
    pub cache: PathBuf,
    pub token: Option<String>,
}

/// Has somebody said that nothing is to be downloaded? ModelScope's programs have no such variable: Hugging Face's holds
/// for both.
pub fn is_offline() -> bool {
    // As Python's huggingface_hub reads a switch.
    let set = |text: String| ["1", "ON", "YES", "TRUE"].contains(&text.to_ascii_uppercase().as_str());
    variable("HF_HUB_OFFLINE").is_some_and(set)
}

/// Of the Hugging Face Hub.
pub fn hugging_face() -> Result<Place, HubError> {
    let home = variable("HF_HOME").map_or_else(|| caches().join("huggingface"), PathBuf::from);
    let cache = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE"));
    let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
    Ok(Place {
        endpoint: address("HF_ENDPOINT", &endpoint)?,
        cache: cache.map_or_else(|| home.join("hub"), PathBuf::from),
        token: hugging_face_token(&home),
    })
}

/// No token is longer.
const MOST_OF_TOKEN: u64 = 1 << 20;

/// The variable, or what `hf auth login` has left.
fn hugging_face_token(home: &std::path::Path) -> Option<String> {
    let named = || variable("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from);
    let token = variable(HF_TOKEN).or_else(|| files::text_at_most(&named(), MOST_OF_TOKEN).ok())?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

/// Of ModelScope. The older of its two variables for the address may lack the scheme.
pub fn model_scope() -> Result<Place, HubError> {
    let named = ["MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN"].into_iter().find_map(|name| Some((name, variable(name)?)));
    let (name, domain) = named.unwrap_or(("MODELSCOPE_ENDPOINT", "https://www.modelscope.cn".to_owned()));
    let endpoint = if domain.contains("://") { domain } else { format!("https://{domain}") };
    Ok(Place {
        endpoint: address(name, &endpoint)?,
        cache: variable("MODELSCOPE_CACHE").map_or_else(|| home().join(".cache/modelscope"), PathBuf::from),
        token: variable(MODELSCOPE_TOKEN).map(|token| token.trim().to_owned()),
    })
}

fn address(name: &str, text: &str) -> Result<Url, HubError> {
    let url = Url::parse(text.trim_end_matches('/')).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    let url = url.filter(|url| url.host().is_some() && url.username().is_empty() && url.password().is_none());
    url.ok_or_else(|| {
        HubError::new(format!("{name} is no address of a hub")).hint("set it to one such as https://hub.example")
    })
}

fn caches() -> PathBuf {
    variable("XDG_CACHE_HOME").map_or_else(|| home().join(".cache"), PathBuf::from)
}

fn home() -> PathBuf {
    variable("HOME").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// An empty one is none.
#[expect(clippy::disallowed_methods, reason = "the hubs' variables, as all their programs read them")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
