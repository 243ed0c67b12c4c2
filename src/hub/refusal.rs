//! What a hub refuses, for a person: what to do about it depends on the hub.

use reqwest::Url;

use super::hub_error::Fault;
use super::trouble::Trouble;
use super::{HubError, HubName, ModelId};
use crate::{models, suggest};

/// Who was asked for what.
pub struct Asked<'a> {
    pub hub: HubName,
    pub endpoint: &'a Url,
    pub model: &'a ModelId,
    pub revision: &'a str,
    /// `None` for the model as a whole.
    pub file: Option<&'a str>,
}

impl Asked<'_> {
    /// `MODEL: FILE at revision REVISION`
    fn what(&self) -> String {
        let (model, revision) = (self.model, self.revision);
        match self.file {
            Some(file) => format!("{model}: {file} at revision {revision}"),
            None => format!("{model} at revision {revision}"),
        }
    }

    pub fn explain(&self, trouble: Trouble) -> HubError {
        let (what, token) = (self.what(), self.hub.token_variable());
        let says = self.own_words(&trouble);
        let gated = matches!(&trouble, Trouble::Status { code: Some(code), .. } if code == "GatedRepo");
        match trouble {
            Trouble::Status { status: 403, .. } | Trouble::Status { status: 401, .. } if gated => {
                self.gated(&what, &says)
            }
            Trouble::Status { status: 403, .. } => self.gated(&what, &says),
            Trouble::Status { status: 401, .. } => HubError::new(format!("{what}: the hub refuses access{says}"))
                .hint(self.nearest(&format!("check the id, and set {token} to a token that may read it"))),
            Trouble::Status { status: 404 | 410, .. } => {
                let hint = format!("check the id and the revision, and set {token} if the model is private");
                HubError::new(format!("{what} is not on the hub{says}")).fault(Fault::Missing).hint(self.nearest(&hint))
            }
            Trouble::Broken(why) => {
                let (hub, variable) = (self.endpoint.host_str().unwrap_or_default(), self.endpoint_variable());
                HubError::new(format!("{what}: {why}")).fault(Fault::Unreachable).hint(format!(
                    "check the network and {variable} (now {hub}), set HF_HUB_OFFLINE=1 for what is in a cache, or use weights \
                     = \"generated\""
                ))
            }
            other => other.into_error(&what),
        }
    }

    /// ModelScope's are a sentence; the Hugging Face Hub's say what ours do.
    fn own_words(&self, trouble: &Trouble) -> String {
        match trouble {
            Trouble::Status { said, .. } if self.hub == HubName::ModelScope && !said.is_empty() => format!(" ({said})"),
            _ => String::new(),
        }
    }

    fn gated(&self, what: &str, says: &str) -> HubError {
        let (token, model) = (self.hub.token_variable(), self.model);
        let page = match self.hub {
            HubName::HuggingFace => format!("{}{model}", self.endpoint),
            HubName::ModelScope => format!("{}models/{model}", self.endpoint),
        };
        HubError::new(format!("{what}: the hub wants its terms to be accepted first, or refuses this account{says}"))
            .hint(format!("sign in at {page}, accept the terms there, and set {token} to a token of that account"))
    }

    /// A model's name is easily mistyped.
    fn nearest(&self, otherwise: &str) -> String {
        let (id, ids) = (self.model.to_string(), models::all().iter().map(|model| model.id.as_str()));
        match suggest::nearest(&id, ids) {
            Some(near) if near != id => format!("did you mean `{near}`? If not, {otherwise}"),
            _ => otherwise.to_owned(),
        }
    }

    fn endpoint_variable(&self) -> &'static str {
        match self.hub {
            HubName::HuggingFace => "HF_ENDPOINT",
            HubName::ModelScope => "MODELSCOPE_ENDPOINT",
        }
    }
}
