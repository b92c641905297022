//! Every error code that this provider answers with, in one table. `docs/errors.md` is rendered from it; a test compares.

use livedata_arm::ArmError;
use livedata_session::enrolment::Rejection;
use livedata_store::lease::LEASES;

/// One code: its HTTP status, when it is given, and what the user should do.
#[derive(Debug)]
pub struct Code {
    pub name: &'static str,
    pub status: u16,
    pub when: &'static str,
    pub what_to_do: &'static str,
}

impl Code {
    pub fn error(&self, message: impl Into<String>) -> ArmError {
        ArmError::new(self.status, self.name, message)
    }

    /// An error about one property; `target` is its JSON path.
    pub fn at(&self, target: impl Into<String>, message: impl Into<String>) -> ArmError {
        self.error(message).at(target)
    }
}

macro_rules! codes {
    ($($constant:ident = $name:literal $status:literal : $when:literal => $what_to_do:literal;)*) => {
        $(pub const $constant: Code = Code { name: $name, status: $status, when: $when, what_to_do: $what_to_do };)*
        /// All codes, in the order of the document.
        pub const ALL: &[Code] = &[$($constant),*];
    };
}

codes! {
    MISSING_API_VERSION = "MissingApiVersionParameter" 400: "The request has no `api-version`." => "Add `?api-version=` with one of the versions that the message lists.";
    INVALID_API_VERSION = "InvalidApiVersionParameter" 400: "The `api-version` is malformed or not served." => "Use one of the versions that the message lists.";
    ROUTE_NOT_FOUND = "RouteNotFound" 404: "The path is not one of this provider's." => "Check the path; `GET /providers/LiveData.Platform/operations` lists what exists.";
    INVALID_REQUEST_PATH = "InvalidRequestPath" 400: "A custom provider's request has no `X-MS-CustomProviders-RequestPath`, or one that is not the id of a resource of a custom provider." => "Call through `Microsoft.CustomProviders`, which sends the header.";
    INVALID_RESOURCE_TYPE = "InvalidResourceType" 404: "The resource type does not exist." => "Check the type's spelling and whether its parent types are in the path.";
    INVALID_SUBSCRIPTION_STATE = "InvalidSubscriptionState" 400: "The subscription is not registered (400), or is warned, suspended or being deleted (409)." => "Register the subscription: `az provider register --namespace LiveData.Platform`.";
    METHOD_NOT_ALLOWED = "MethodNotAllowed" 405: "The path exists but not with this method." => "Use a method of the reply's `Allow` header.";
    INVALID_RESOURCE_NAME = "InvalidResourceName" 400: "A resource name breaks the naming rule." => "Use 1 to 64 letters, digits, `-`, `_` or `.`, beginning with a letter or digit (verifications: 3 to 80, beginning with a letter).";
    INVALID_RESOURCE_GROUP_NAME = "InvalidResourceGroupName" 400: "The name of a resource group breaks ARM's rule." => "Use 1 to 90 letters, digits, `-`, `_`, `(`, `)` or `.`, not ending in `.`.";
    UNSUPPORTED_MEDIA_TYPE = "UnsupportedMediaType" 415: "The body is not declared as JSON." => "Send `Content-Type: application/json`.";
    REQUEST_BODY_TOO_LARGE = "RequestBodyTooLarge" 413: "The body is longer than 4 MiB." => "Send a smaller document.";
    INVALID_REQUEST_CONTENT = "InvalidRequestContent" 400: "The body is missing, is not JSON, or is not an object." => "Correct the body; the message says where parsing stopped.";
    INVALID_QUERY_PARAMETER = "InvalidQueryParameter" 400: "`$top` or `$skipToken` cannot be used." => "Use a positive `$top`; take `$skipToken` only from a `nextLink` of the same list.";
    MULTIPLE_ERRORS = "MultipleErrorsOccurred" 400: "Several properties are wrong." => "Correct each property that `details` names.";
    MISSING_REQUIRED_PROPERTY = "MissingRequiredProperty" 400: "A required property is absent or null." => "Give the property that `target` names.";
    UNKNOWN_PROPERTY = "UnknownProperty" 400: "The document has a property that this api-version does not know." => "Remove the property that `target` names, or correct its spelling.";
    INVALID_PROPERTY_VALUE = "InvalidPropertyValue" 400: "A property has the wrong type or a value that is not allowed." => "Correct the property that `target` names; the message says what is expected.";
    PATH_NOT_ABSOLUTE = "PathNotAbsolute" 400: "A path does not begin with `/`." => "Give the path from the root of the source or of the container.";
    INVALID_PATH = "InvalidPath" 400: "A path has `.` or `..` segments, a NUL, or lies in `/.livedata`." => "Give a canonical path outside `/.livedata`, which is reserved for the migrator's own files.";
    PATH_OUTSIDE_MIGRATION = "PathOutsideMigration" 400: "`rescan` names a path that is not inside the migration's." => "Give the migration's `path` or one inside it, or no path for the whole migration.";
    PROPERTY_CHANGE_NOT_ALLOWED = "PropertyChangeNotAllowed" 400: "A PUT or PATCH changes a property that is fixed after creation, or a read-only one." => "Keep the property as it is, or delete the resource and create it anew.";
    TARGET_OF_ANOTHER_MIGRATOR = "TargetOfAnotherMigrator" 400: "`targetId` names a target of another migrator." => "Create the target under the migration's own migrator and use its id.";
    TARGET_NOT_FOUND = "TargetNotFound" 400: "`targetId` names a target that does not exist." => "Create the target first, or correct the id.";
    EXCLUSION_TEMPLATE_NOT_FOUND = "ExclusionTemplateNotFound" 400: "A migration names an exclusion that its migrator has no template of." => "Create the template first, or correct the name.";
    EXCLUSION_TEMPLATE_IN_USE = "ExclusionTemplateInUse" 409: "The exclusion template is used by migrations." => "Take it from the migrations that the message names first.";
    PATH_MAPPING_COLLISION = "PathMappingCollision" 400: "Two path mappings of a migrator would write into the same place of a target." => "Choose a `targetPath` that neither contains nor lies inside that of the mapping in the message.";
    MIGRATION_NOT_FOUND = "MigrationNotFound" 400: "`migrationId` names no migration of the migrator." => "Give the full id of a migration of the same migrator.";
    METADATA_TARGET_NOT_FOUND = "MetadataTargetNotFound" 400: "`targetId` names no metadata target of the migrator." => "Create the metadata target first, or correct the id.";
    VERIFICATION_ENDED = "VerificationEnded" 409: "A verification that has ended is to be cancelled." => "Nothing; make another verification to compare again.";
    TARGET_NOT_READY = "TargetNotReady" 409: "The migration's target was refused when its storage account was looked up." => "Correct the target (its own error says what is wrong), then repeat the request.";
    PARENT_RESOURCE_NOT_FOUND = "ParentResourceNotFound" 404: "The migrator of a child resource does not exist." => "Create the migrator first, or correct its name.";
    RESOURCE_NOT_FOUND = "ResourceNotFound" 404: "The resource does not exist." => "Check the id; list the collection to see what exists.";
    CUSTOM_RESOURCE_NAME_IN_USE = "CustomResourceNameInUse" 409: "The name of a custom resource is taken in its custom provider, whatever the migrator, or in its resource group outside the custom provider." => "Choose another name; `properties.migratorName` cannot be changed.";
    PRECONDITION_FAILED = "PreconditionFailed" 412: "`If-Match` or `If-None-Match` does not hold." => "Read the resource again and repeat the change with its present etag.";
    CONCURRENT_CHANGE = "ConcurrentChange" 409: "Others changed the same resources again and again while the request was tried." => "Repeat the request.";
    ANOTHER_OPERATION_IN_PROGRESS = "AnotherOperationInProgress" 409: "The resource has an unfinished operation." => "Wait until its `provisioningState` is terminal, then repeat. DELETE is always allowed.";
    PARENT_BEING_DELETED = "ParentBeingDeleted" 409: "The migrator of a child resource is being deleted." => "Wait until the migrator is gone; create it anew if it is wanted.";
    TARGET_AREA_IN_USE = "TargetAreaInUse" 409: "Another migration writes into the same area of the same container." => "Choose a `targetPath` that neither contains nor lies inside that of the migration in the message, or delete that migration.";
    TARGET_IN_USE = "TargetInUse" 409: "The target still has migrations or path mappings." => "Delete those that the message names first.";
    MIGRATION_NOT_STOPPED = "MigrationNotStopped" 409: "A migration that goes on is to be reset." => "Stop the migration, wait until its `status.state` is `Stopped`, then reset it.";
    MIGRATION_NOT_RUNNING = "MigrationNotRunning" 409: "A command is for a migration that is not going on." => "Start the migration, then repeat the command.";
    NO_DELETES_HELD = "NoDeletesHeld" 409: "`approveDeletes`, but no deletes wait for approval." => "Nothing; approve when the condition `DeletesHeld` is `True`.";
    TOO_MANY_COMMANDS = "TooManyCommands" 409: "256 commands of the migrator's migrations wait for its agent." => "See the migrator's `status`; repeat the command when its agent is there again.";
    INVALID_MOVE = "InvalidMove" 400: "A move leads into the same resource group or to what is none, or names what is not a migrator of the group." => "Correct the property that `target` names; what belongs to a migrator moves with it.";
    RESOURCE_EXISTS_IN_TARGET_GROUP = "ResourceExistsInTargetGroup" 409: "A migrator is to be moved to a resource group that has one of its name." => "Choose another group, or delete the migrator there.";
    MIGRATOR_CANNOT_MOVE = "MigratorCannotMove" 409: "A migrator is to be moved that has an agent, or was made through a custom provider." => "Leave it where it is, or make another one there and enrol the agent with it; its migrations then find at the target what is there.";
    STORAGE_ACCOUNT_NOT_FOUND = "StorageAccountNotFound" 400: "The storage account of a target does not exist." => "Create the account or correct `properties.storageAccountId`, then PUT the target again.";
    STORAGE_ACCOUNT_KIND_NOT_SUPPORTED = "StorageAccountKindNotSupported" 400: "The storage account is not of kind `StorageV2`." => "Use a `StorageV2` account with hierarchical namespace.";
    HIERARCHICAL_NAMESPACE_REQUIRED = "HierarchicalNamespaceRequired" 400: "The storage account has no hierarchical namespace." => "Use an account with hierarchical namespace (`isHnsEnabled`); it can be chosen at creation or by Azure's upgrade.";
    STORAGE_ACCOUNT_UNAVAILABLE = "StorageAccountUnavailable" 503: "The storage account could not be looked up within 30 seconds." => "Check that the resource manager can be reached from the provider, then PUT the target again.";
    OPERATION_CANCELED = "OperationCanceled" 409: "The operation was cancelled, or overtaken by the deletion of its resource." => "Nothing, if the deletion was wanted.";
    OPERATION_NOT_CANCELABLE = "OperationNotCancelable" 409: "The operation has ended, or is that of an action or a deletion." => "Nothing; actions and deletions cannot be taken back.";
    OPERATION_STATUS_READ_ONLY = "OperationStatusReadOnly" 403: "A client wants to write the status of an operation." => "Nothing; only the provider does.";
    OPERATION_NOT_FOUND = "OperationNotFound" 404: "There is no such operation in this subscription, location and tenant, or it ended more than 7 days ago." => "Read the resource itself.";
    CLIENT_CERTIFICATE_REFUSED = "ClientCertificateRefused" 401: "The certificate with which a connection was made has expired, or is no longer in the list that its party publishes." => "Connect again with a certificate that is valid now.";
    INSTALL_KEY_INVALID = "InstallKeyInvalid" 401: "The install key is unknown, its proof is wrong, or its migrator is gone." => "Get a new key with the action `listInstallKey` and run the installation with it.";
    INSTALL_KEY_USED = "InstallKeyUsed" 409: "The install key has already enrolled an agent." => "Get a new key with the action `listInstallKey`; a key works once.";
    INSTALL_KEY_EXPIRED = "InstallKeyExpired" 410: "The install key is older than one hour." => "Get a new key with the action `listInstallKey`.";
    BAD_REQUEST = "BadRequest" 400: "An agent's enrolment or token request is malformed, or a request for metrics names a metric, time span, interval or aggregation that there is not." => "Use an agent of a supported version; correct the parameter that `target` names. The message says what is wrong.";
    AGENT_UNKNOWN = "AgentUnknown" 401: "An agent asked for a listen token with a certificate that is not its migrator's present agent's, or with a wrong signature." => "If the agent was replaced or its migrator deleted, enrol it again with a fresh install key.";
    CLOCK_SKEWED = "ClockSkewed" 401: "An agent's clock is more than five minutes away from the provider's." => "Set the clock of the agent's machine right.";
    SERVICE_UNAVAILABLE = "ServiceUnavailable" 503: "The provider's store does not answer, or is full; or, with a secret in the request, its file of sealing keys cannot be read." => "Repeat after the time in `Retry-After`; the provider's log has the cause.";
    INTERNAL_SERVER_ERROR = "InternalServerError" 500: "A stored document cannot be read, or the provider failed." => "Report it with the reply's `x-ms-request-id`; the provider's log has the cause.";
}

/// The table of `docs/errors.md`.
pub fn table() -> String {
    let mut text = String::from("| Code | HTTP status | When | What to do |\n|---|---|---|---|\n");
    for code in ALL {
        text.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            code.name, code.status, code.when, code.what_to_do
        ));
    }
    text
}

/// A failing store: the one place where its errors get an ARM code.
impl From<Failure> for ArmError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => *error,
            Failure::Store(livedata_store::Error::Conflict { .. }) => CONCURRENT_CHANGE.error(
                "Other requests changed the same resources while this one was tried. Repeat the request.",
            ),
            Failure::Store(error @ livedata_store::Error::Unavailable(_)) => {
                tracing::error!(%error, "store unavailable");
                SERVICE_UNAVAILABLE.error("The provider cannot reach its store. Repeat the request later.")
            }
            Failure::Store(error @ livedata_store::Error::KeyUnavailable(_)) => {
                tracing::error!(%error, "a secret cannot be sealed or opened");
                SERVICE_UNAVAILABLE.error(
                    "The provider cannot use the keys that seal secrets, so nothing secret can be stored or read now; its log says why. \
                     Repeat the request later.",
                )
            }
            Failure::Store(error @ livedata_store::Error::Full(_)) => {
                tracing::error!(%error, "store full");
                SERVICE_UNAVAILABLE.error(
                    "The provider's store is full: nothing can be written, reading goes on. Make room for it, then repeat the request.",
                )
            }
            Failure::Store(error) => internal(&error),
            Failure::Document(error) => internal(&error),
            Failure::InstallKey(error) => internal(&error),
        }
    }
}

fn internal(error: &(dyn std::error::Error + 'static)) -> ArmError {
    tracing::error!(error, "internal failure");
    INTERNAL_SERVER_ERROR
        .error("The provider failed; its log has the cause under this reply's x-ms-request-id.")
}

/// The enrolment's own words, with the code that stands in the table.
impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        ArmError::new(rejection.http_status(), rejection.code(), rejection.to_string()).into()
    }
}

/// Why a request or a controller step did not go through.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The caller is told as it stands.
    #[error(transparent)]
    Refused(Box<ArmError>),
    #[error("the store failed")]
    Store(#[from] livedata_store::Error),
    #[error("a stored document cannot be read or written")]
    Document(#[from] serde_json::Error),
    #[error("an install key cannot be made")]
    InstallKey(#[from] livedata_session::enrolment::KeyError),
}

impl From<ArmError> for Failure {
    fn from(error: ArmError) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl Failure {
    /// A refusal of what stands under another property.
    #[must_use]
    pub fn renamed(self, target: &str) -> Self {
        match self {
            Self::Refused(error) => {
                Self::Refused(Box::new(ArmError { target: Some(target.to_owned()), ..*error }))
            }
            other => other,
        }
    }

    /// The resource has become another provider's.
    pub fn is_lost_lease(&self) -> bool {
        matches!(self, Self::Store(livedata_store::Error::Conflict { collection, .. }) if collection == LEASES)
    }

    /// Somebody else was faster: reading again and repeating may succeed.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(livedata_store::Error::Conflict { .. }))
    }
}

pub type Outcome<T> = Result<T, Failure>;
