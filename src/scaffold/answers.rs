//! Questions of templates, and their answers.

use super::{Error, Lang};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Something a template wants to know.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The name of the answer: the placeholder, and `--var NAME=…`.
    pub name: String,
    /// The question as it is asked.
    pub prompt: String,
    /// The answer if nobody gives one.
    pub default: String,
    /// The answers there are; empty where `rule` decides.
    #[serde(default)]
    pub choices: Vec<String>,
    /// What an answer must be like.
    #[serde(default)]
    pub rule: Option<Rule>,
}

/// What an answer must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A C identifier.
    Identifier,
    /// A power of two.
    PowerOfTwo,
}

impl Question {
    /// Checks an answer.
    ///
    /// # Errors
    /// What is wrong with it, fit to stand behind a colon.
    pub fn check(&self, answer: &str) -> Result<(), String> {
        if !self.choices.is_empty() && !self.choices.iter().any(|choice| choice == answer) {
            return Err(format!("it is one of {}", self.choices.join(", ")));
        }
        match self.rule {
            Some(Rule::Identifier) if !is_identifier(answer) => {
                Err("it must be a C identifier".to_owned())
            }
            Some(Rule::PowerOfTwo)
                if !answer.parse::<u32>().is_ok_and(|number| number.is_power_of_two()) =>
            {
                Err("it must be a power of two".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// A C identifier as the name of a Rust type, in the way in which libbpf-cargo
/// makes one of an object's name: `my_probe` is `MyProbe`.
fn type_name(identifier: &str) -> String {
    let mut name = String::new();
    for word in identifier.split('_') {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What is known of a project before it is made.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Its name.
    pub name: String,
    /// Its name as a C identifier.
    pub identifier: String,
    /// Its license, an SPDX expression.
    pub license: String,
    /// What its user program is written in.
    pub lang: Lang,
    /// Answers to the template's questions; those that are missing are the
    /// defaults.
    pub values: BTreeMap<String, String>,
}

impl Answers {
    /// The values of all placeholders of a template with these questions.
    pub(super) fn placeholders<'q>(
        &self,
        template: &str,
        questions: &'q [Question],
    ) -> Result<BTreeMap<&'q str, String>, Error> {
        if let Some(name) =
            self.values.keys().find(|name| !questions.iter().any(|q| q.name == **name))
        {
            return Err(Error::UnknownQuestion {
                template: template.to_owned(),
                name: name.clone(),
                known: questions.iter().map(|question| question.name.clone()).collect(),
            });
        }
        super::license::check(&self.license)?;
        let mut values = BTreeMap::from([
            ("name", self.name.clone()),
            ("identifier", self.identifier.clone()),
            ("license", self.license.clone()),
            ("kernel_license", super::license::for_kernel(&self.license)),
            ("type_name", type_name(&self.identifier)),
            ("user_kind", self.lang.as_str().to_owned()),
        ]);
        for question in questions {
            let answer = self.values.get(&question.name).unwrap_or(&question.default);
            question.check(answer).map_err(|reason| Error::BadAnswer {
                question: question.name.clone(),
                answer: answer.clone(),
                reason,
            })?;
            values.insert(question.name.as_str(), answer.clone());
        }
        Ok(values)
    }
}
