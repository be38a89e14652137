//! What the validator has to say of an event.

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The event is not valid.
    Error,
    /// The event is valid; it may still be wrong.
    Warning,
    /// This part of the event was not looked at.
    NotChecked,
}

impl Severity {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::NotChecked => "not_checked",
        }
    }
}

/// One thing that is wrong, or may be, at one place of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// Which rule says so.
    pub rule: Rule,
    /// Where: a jq path, such as `.actor.user.type_id`; `.` is the event.
    pub path: String,
    /// What is wrong there, for people. It does not repeat the path.
    pub message: String,
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $variant:ident $severity:ident $name:literal,)+) => {
        /// The rules: each is a class of findings of the reference validator, under its name there.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Rule {
            /// All rules, in the order of the reference page.
            pub const ALL: &[Rule] = &[$(Rule::$variant),+];

            /// The name, in snake case.
            pub fn name(self) -> &'static str {
                match self {
                    $(Rule::$variant => $name,)+
                }
            }

            /// How much a finding of this rule weighs.
            pub fn severity(self) -> Severity {
                match self {
                    $(Rule::$variant => Severity::$severity,)+
                }
            }

            /// What the rule asks, in a sentence.
            pub fn about(self) -> &'static str {
                match self {
                    $(Rule::$variant => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

rules! {
    /// `class_uid` names no class of the schema. Nothing else is checked then.
    ClassUnknown Error "class_uid_unknown",
    /// The class is deprecated.
    ClassDeprecated Warning "class_deprecated",
    /// `metadata.profiles` names a profile that the schema does not have.
    ProfileUnknown Error "profile_unknown",
    /// `metadata.profiles` names a deprecated profile.
    ProfileDeprecated Warning "profile_deprecated",
    /// `metadata.version` is later than the schema.
    VersionLater Error "version_incompatible_later",
    /// `metadata.version` is earlier than the schema, or no version.
    VersionEarlier Warning "version_earlier",
    /// `metadata.version` is earlier than the schema and its major number is 0.
    VersionInitialDevelopment Error "version_incompatible_initial_development",
    /// `metadata.version` is a prerelease of a version up to the schema's.
    VersionPrerelease Error "version_incompatible_prerelease",
    /// `type_uid` is not `class_uid` × 100 + `activity_id`.
    TypeUidIncorrect Error "type_uid_incorrect",
    /// The class or object has no such attribute, or it belongs to a profile that `metadata.profiles` does not name.
    AttributeUnknown Error "attribute_unknown",
    /// A required attribute is not there, or null.
    RequiredMissing Error "attribute_required_missing",
    /// A recommended attribute is not there, or null. Only on request.
    RecommendedMissing Warning "attribute_recommended_missing",
    /// The value is of another type than the attribute.
    WrongType Error "attribute_wrong_type",
    /// The attribute is deprecated.
    AttributeDeprecated Warning "attribute_deprecated",
    /// The object's type is deprecated.
    ObjectDeprecated Warning "object_deprecated",
    /// Not at least one, or not just one, of the attributes of a constraint is there.
    ConstraintFailed Error "constraint_failed",
    /// The schema has a constraint of a kind that the validator does not know.
    ConstraintUnknown Error "constraint_unknown",
    /// The value is none of the enum.
    EnumValueUnknown Error "attribute_enum_value_unknown",
    /// An item is none of the enum.
    EnumArrayValueUnknown Error "attribute_enum_array_value_unknown",
    /// The value of the enum is deprecated.
    EnumValueDeprecated Warning "attribute_enum_value_deprecated",
    /// An item of the enum is deprecated.
    EnumArrayValueDeprecated Warning "attribute_enum_array_value_deprecated",
    /// The text beside an enum is not the caption of its value.
    SiblingIncorrect Warning "attribute_enum_sibling_incorrect",
    /// The text beside 99 is the word `Other` and not the source's own.
    SiblingSuspiciousOther Warning "attribute_enum_sibling_suspicious_other",
    /// The texts beside an array of enum values are fewer than the values.
    ArraySiblingMissing Error "attribute_enum_array_sibling_missing",
    /// An item of the texts beside an array of enum values is not the caption of its value.
    ArraySiblingIncorrect Error "attribute_enum_array_sibling_incorrect",
    /// The number is outside the range of its type.
    ExceedsRange Error "attribute_value_exceeds_range",
    /// The number is outside the range of its type's own type.
    ExceedsSuperRange Error "attribute_value_exceeds_super_type_range",
    /// The text is longer than its type allows.
    ExceedsMaxLen Error "attribute_value_exceeds_max_len",
    /// The text is longer than its type's own type allows.
    ExceedsSuperMaxLen Error "attribute_value_exceeds_super_type_max_len",
    /// The text does not have the form of its type.
    RegexNotMatched Warning "attribute_value_regex_not_matched",
    /// The text does not have the form of its type's own type.
    SuperRegexNotMatched Warning "attribute_value_super_type_regex_not_matched",
    /// The value is none of those that its type allows.
    NotInTypeValues Error "attribute_value_not_in_type_values",
    /// The value is none of those that its type's own type allows.
    NotInSuperTypeValues Error "attribute_value_not_in_super_type_values",
    /// The `name` of an observable is no path of an attribute of the class.
    ObservableName Error "observable_name_invalid_reference",
    /// The schema gives an attribute a type that it does not define.
    SchemaTypeMissing Error "schema_bug_type_missing",
    /// The schema derives a type from one that is none of the basic ones.
    SchemaPrimitiveUnknown Error "schema_bug_primitive_type_unknown",
    /// The schema has a pattern that is no regular expression.
    SchemaRegexInvalid Error "schema_bug_type_regex_invalid",
    /// An object beyond the built-in tables, or too deep or too much to look at.
    NotChecked NotChecked "not_checked",
}
