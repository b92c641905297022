//! The errors that a storage request is answered with: status, code and text of the service.
//!
//! One value serves both endpoints; `body_for` writes it as the endpoint does (JSON on DFS, XML on Blob) and translates the
//! few codes that have another name on Blob.

use std::borrow::Cow;

use actix_web::http::StatusCode;

use crate::index::NodeKind;
use crate::request::Api;

#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct ServiceError {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: Cow<'static, str>,
    /// What the service puts beside the message of an authentication failure.
    pub authentication_detail: Option<String>,
    /// Sent as `x-ms-existing-resource-type`, which the Hadoop driver reads to decide about mkdirs.
    pub existing: Option<NodeKind>,
    /// Sent as `Retry-After`.
    pub retry_after_seconds: Option<u32>,
    /// Sent as `Content-Range` of a 416.
    pub full_length: Option<u64>,
    /// Which header or parameter it is about, with the element in which Blob names it.
    pub input: Option<(&'static str, String)>,
}

macro_rules! errors {
    ($($name:ident = $status:ident, $code:literal, $message:literal;)*) => {
        impl ServiceError {
            $(pub(crate) fn $name() -> Self { Self::new(StatusCode::$status, $code, $message) })*
        }
    };
}

errors! {
    account_not_found = NOT_FOUND, "ResourceNotFound", "The specified resource does not exist: no such storage account in this emulator.";
    append_position_condition_not_met = PRECONDITION_FAILED, "AppendPositionConditionNotMet", "The append position condition specified was not met.";
    blob_is_sealed = CONFLICT, "BlobIsSealed", "The specified blob is sealed and its contents can't be modified unless the blob is re-created after a delete.";
    blob_operation_not_supported = CONFLICT, "BlobOperationNotSupported", "Blob operation is not supported. The file was made through the Data Lake endpoint, which alone writes to it: append to it there, or replace it with Put Blob.";
    block_count_exceeds_limit = CONFLICT, "BlockCountExceedsLimit", "The committed block count cannot exceed the maximum limit of 50,000 blocks.";
    batch_of_several_kinds = BAD_REQUEST, "AllBatchSubRequestsShouldBeSameApi", "All batch subrequests should be the same api.";
    block_list_too_long = BAD_REQUEST, "BlockListTooLong", "The block list may not contain more than 50,000 blocks.";
    cannot_verify_copy_source = NOT_FOUND, "CannotVerifyCopySource", "The source of the copy is not in this emulator, or it is in another account and its URL has no signature.";
    condition_not_met = PRECONDITION_FAILED, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.";
    not_modified = NOT_MODIFIED, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.";
    crc64_mismatch = BAD_REQUEST, "Crc64Mismatch", "The CRC64 value specified in the request did not match with the CRC64 value calculated by the server.";
    md5_mismatch = BAD_REQUEST, "Md5Mismatch", "The MD5 value specified in the request did not match with the MD5 value calculated by the server.";
    empty_metadata_key = BAD_REQUEST, "EmptyMetadataKey", "The key for one of the metadata key-value pairs is empty.";
    empty_property_name = BAD_REQUEST, "InvalidPropertyName", "A property name cannot be empty.";
    invalid_metadata = BAD_REQUEST, "InvalidMetadata", "The specified metadata is invalid: a name is given twice, or is not made of letters, digits and _ with no digit at its beginning.";
    invalid_property_name = BAD_REQUEST, "InvalidPropertyName", "The property name contains invalid characters: it is to be made of letters, digits and _ with no digit at its beginning.";
    max_blob_size_condition_not_met = PRECONDITION_FAILED, "MaxBlobSizeConditionNotMet", "The max blob size condition specified was not met.";
    metadata_too_large = BAD_REQUEST, "MetadataTooLarge", "The size of the specified metadata exceeds the maximum size permitted, which is 8 KiB for names and values together.";
    condition_headers_not_supported = BAD_REQUEST, "ConditionHeadersNotSupported", "Condition headers are not supported: an append has none, the flush that follows it has.";
    content_length_must_be_zero = BAD_REQUEST, "ContentLengthMustBeZero", "The Content-Length request header must be zero.";
    filesystem_being_deleted = CONFLICT, "FilesystemBeingDeleted", "The specified filesystem is being deleted. Try the operation again later.";
    invalid_md5 = BAD_REQUEST, "InvalidMd5", "The MD5 value specified in the request is invalid. It must be 128 bits in base64.";
    invalid_source_uri = BAD_REQUEST, "InvalidSourceUri", "The source URI is invalid: x-ms-rename-source is to be /filesystem/path, percent-encoded.";
    name_length_out_of_range = BAD_REQUEST, "OutOfRangeInput", "The specified resource name length is not within the permissible limits.";
    unsupported_rest_version = BAD_REQUEST, "UnsupportedRestVersion", "The specified Rest Version is Unsupported: versions before 2018-11-09 are not served.";
    directory_not_empty = CONFLICT, "DirectoryNotEmpty", "The recursive query parameter value must be true to delete a non-empty directory.";
    rename_destination_not_empty = CONFLICT, "DirectoryNotEmpty", "The rename destination is a directory that is not empty.";
    filesystem_already_exists = CONFLICT, "FilesystemAlreadyExists", "The specified filesystem already exists.";
    filesystem_not_found = NOT_FOUND, "FilesystemNotFound", "The specified filesystem does not exist.";
    invalid_append_operation = CONFLICT, "InvalidAppendOperation", "The resource was created or modified by the Azure Blob Service API and cannot be appended to by the Azure Data Lake Storage Service API.";
    invalid_blob_type = CONFLICT, "InvalidBlobType", "The blob type is invalid for this operation.";
    invalid_blob_or_block = BAD_REQUEST, "InvalidBlobOrBlock", "The specified blob or block content is invalid: the ids of all blocks of a blob must have the same length.";
    invalid_block_list = BAD_REQUEST, "InvalidBlockList", "The specified block list is invalid: it names a block that was not put, or not any more.";
    invalid_input = BAD_REQUEST, "InvalidInput", "One of the request inputs is not valid.";
    invalid_xml = BAD_REQUEST, "InvalidXmlDocument", "XML specified is not syntactically valid.";
    invalid_xml_node_value = BAD_REQUEST, "InvalidXmlNodeValue", "The value provided for one of the XML nodes in the request body was not in the correct format.";
    invalid_flush_operation = CONFLICT, "InvalidFlushOperation", "The resource was created or modified by the Azure Blob Service API and cannot be written to by the Azure Data Lake Storage Service API.";
    invalid_flush_position = BAD_REQUEST, "InvalidFlushPosition", "The uploaded data is not contiguous or the position query parameter value is not equal to the length of the file after appending the uploaded data.";
    invalid_range = RANGE_NOT_SATISFIABLE, "InvalidRange", "The range specified is invalid for the current size of the resource.";
    invalid_rename_source_path = CONFLICT, "InvalidRenameSourcePath", "The source directory cannot be the same as the destination directory, nor can the destination be a subdirectory of the source directory.";
    invalid_resource_name = BAD_REQUEST, "InvalidResourceName", "The specified resource name contains invalid characters or has an invalid length.";
    resource_type_mismatch = CONFLICT, "ResourceTypeMismatch", "The resource type specified in the request does not match the type of the resource.";
    resource_types_differ = CONFLICT, "InvalidSourceOrDestinationResourceType", "The source and destination resource type must be identical.";
    lease_already_present = CONFLICT, "LeaseAlreadyPresent", "There is already a lease present.";
    lease_id_mismatch = PRECONDITION_FAILED, "LeaseIdMismatch", "The lease ID specified did not match the lease ID for the resource.";
    lease_id_mismatch_for_operation = CONFLICT, "LeaseIdMismatchWithLeaseOperation", "The lease ID specified did not match the lease ID for the resource with the specified lease operation.";
    lease_id_missing = PRECONDITION_FAILED, "LeaseIdMissing", "There is currently a lease on the resource and no lease ID was specified in the request.";
    lease_is_breaking_not_acquired = CONFLICT, "LeaseIsBreakingAndCannotBeAcquired", "The lease ID matched, but the lease is currently in breaking state and cannot be acquired until it is broken.";
    lease_is_breaking_not_changed = CONFLICT, "LeaseIsBreakingAndCannotBeChanged", "The lease ID matched, but the lease is currently in breaking state and cannot be changed.";
    lease_is_broken_not_renewed = CONFLICT, "LeaseIsBrokenAndCannotBeRenewed", "The lease ID matched, but the lease has been broken explicitly and cannot be renewed.";
    lease_lost = PRECONDITION_FAILED, "LeaseLost", "A lease ID was specified, but the lease for the resource has expired.";
    lease_not_present = PRECONDITION_FAILED, "LeaseNotPresent", "There is currently no lease on the resource.";
    lease_not_present_for_operation = CONFLICT, "LeaseNotPresentWithLeaseOperation", "There is currently no lease on the resource.";
    missing_content_length = LENGTH_REQUIRED, "MissingContentLengthHeader", "The Content-Length header was not specified.";
    no_pending_copy = CONFLICT, "NoPendingCopyOperation", "There is currently no pending copy operation.";
    no_authentication_information = UNAUTHORIZED, "NoAuthenticationInformation", "Server failed to authenticate the request. The Authorization header is missing; this emulator accepts SharedKey.";
    malformed_structured_body = BAD_REQUEST, "InvalidInput", "The body is not the structured message that its headers announce.";
    not_with_hierarchical_namespace = CONFLICT, "FeatureNotYetSupportedForHierarchicalNamespaceAccounts", "Specified feature is not yet supported for hierarchical namespace accounts.";
    path_conflict = CONFLICT, "PathConflict", "The specified path, or an element of the path, exists and its resource type is invalid for this operation.";
    path_already_exists = CONFLICT, "PathAlreadyExists", "The specified path already exists.";
    path_not_found = NOT_FOUND, "PathNotFound", "The specified path does not exist.";
    path_is_too_deep = CONFLICT, "PathIsTooDeep", "The path has too many segments; at most 61 are allowed.";
    rename_destination_parent_not_found = NOT_FOUND, "RenameDestinationParentPathNotFound", "The parent directory of the destination path does not exist.";
    query_out_of_range = BAD_REQUEST, "OutOfRangeQueryParameterValue", "One of the query parameters specified in the request URI is outside the permissible range.";
    request_body_too_large = PAYLOAD_TOO_LARGE, "RequestBodyTooLarge", "The request body is too large and exceeds the maximum permissible limit.";
    source_condition_not_met = PRECONDITION_FAILED, "SourceConditionNotMet", "The source condition specified using HTTP conditional header(s) is not met.";
    source_path_not_found = NOT_FOUND, "SourcePathNotFound", "The source path for a rename operation does not exist.";
    stopping = SERVICE_UNAVAILABLE, "ServerBusy", "The emulator is stopping.";
    transaction_lost = INTERNAL_SERVER_ERROR, "InternalError", "The emulator could not write what it keeps: another request that was done together with this one met a full or failing disk. Nothing of this one was kept.";
    too_many_in_batch = BAD_REQUEST, "ExceedsMaxBatchRequestCount", "The batch operation exceeds maximum number of allowed subrequests.";
    unsupported_http_verb = METHOD_NOT_ALLOWED, "UnsupportedHttpVerb", "The resource doesn't support the specified HTTP verb.";
    authorization_failure = FORBIDDEN, "AuthorizationFailure", "This request is not authorized to perform this operation.";
    permission_mismatch = FORBIDDEN, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission.";
    unauthorized_overwrite = FORBIDDEN, "UnauthorizedBlobOverwrite", "This request is not authorized to perform blob overwrites.";
    protocol_mismatch = FORBIDDEN, "AuthorizationProtocolMismatch", "This request is not authorized to perform this operation using this protocol.";
    signed_resource_type_mismatch = FORBIDDEN, "AuthorizationResourceTypeMismatch", "This request is not authorized to perform this operation using this resource type.";
    service_mismatch = FORBIDDEN, "AuthorizationServiceMismatch", "This request is not authorized to perform this operation using this service.";
    source_ip_mismatch = FORBIDDEN, "AuthorizationSourceIPMismatch", "This request is not authorized to perform this operation using this source IP.";
    public_access_not_permitted = CONFLICT, "PublicAccessNotPermitted", "Public access is not permitted on this storage account.";
    body_cut = BAD_REQUEST, "IncompleteBody", "The request body ended before Content-Length bytes arrived; nothing of it was kept.";
    root_operation = BAD_REQUEST, "InvalidUri", "The operation is not permitted on the root directory of a filesystem.";
    flat_namespace = BAD_REQUEST, "HierarchicalNamespaceNotEnabled", "The storage account has no hierarchical namespace; this emulator serves paths only in accounts that have one.";
}

impl ServiceError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self {
            status,
            code,
            message,
            authentication_detail: None,
            existing: None,
            retry_after_seconds: None,
            full_length: None,
            input: None,
        }
    }

    fn about_header(mut self, name: &str) -> Self {
        self.input = Some(("HeaderName", name.to_owned()));
        self
    }

    fn about_query(mut self, name: &str) -> Self {
        self.input = Some(("QueryParameterName", name.to_owned()));
        self
    }

    /// 403. `detail` tells what the server compared; it never holds a key.
    pub(crate) fn authentication_failed(detail: String) -> Self {
        let message = "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.";
        let mut error = Self::new(StatusCode::FORBIDDEN, "AuthenticationFailed", message);
        error.authentication_detail = Some(detail);
        error
    }

    /// 400, for an `Authorization` that cannot be read.
    pub(crate) fn malformed_authorization(detail: String) -> Self {
        let message = "Authentication information is not given in the correct format. Check the value of Authorization header.";
        let mut error = Self::new(StatusCode::BAD_REQUEST, "InvalidAuthenticationInfo", message);
        error.authentication_detail = Some(detail);
        error
    }

    /// 401, which tells clients to get another token.
    pub(crate) fn invalid_token(detail: String) -> Self {
        let message = "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.";
        let mut error = Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationInfo", message);
        error.authentication_detail = Some(detail);
        error
    }

    pub(crate) fn invalid_xml_value(element: &str, reason: &str) -> Self {
        let message = format!("The value of the XML element {element} is invalid: {reason}.");
        Self::new(StatusCode::BAD_REQUEST, "InvalidXmlNodeValue", message)
    }

    pub(crate) fn invalid_header(name: &str, reason: &str) -> Self {
        let message = format!("The value for the HTTP header {name} is not in the correct format: {reason}.");
        Self::new(StatusCode::BAD_REQUEST, "InvalidHeaderValue", message).about_header(name)
    }

    pub(crate) fn missing_header(name: &str) -> Self {
        let message =
            format!("The HTTP header {name}, which is mandatory for this request, is not specified.");
        Self::new(StatusCode::BAD_REQUEST, "MissingRequiredHeader", message).about_header(name)
    }

    pub(crate) fn missing_query(name: &str) -> Self {
        let message =
            format!("The query parameter {name}, which is mandatory for this request, is not specified.");
        Self::new(StatusCode::BAD_REQUEST, "MissingRequiredQueryParameter", message).about_query(name)
    }

    pub(crate) fn invalid_query(name: &str, reason: &str) -> Self {
        let message = format!("Value for the query parameter {name} is invalid: {reason}.");
        Self::new(StatusCode::BAD_REQUEST, "InvalidQueryParameterValue", message).about_query(name)
    }

    /// As the service answers the operations on index tags of an account with a hierarchical namespace.
    pub(crate) fn no_index_tags() -> Self {
        Self::invalid_query("comp", "accounts with a hierarchical namespace have no index tags")
    }

    pub(crate) fn unsupported_header(name: &str, reason: &str) -> Self {
        let message = format!("The HTTP header {name} is not supported in the request: {reason}.");
        Self::new(StatusCode::BAD_REQUEST, "UnsupportedHeader", message).about_header(name)
    }

    pub(crate) fn unsupported_query(name: &str, reason: &str) -> Self {
        let message = format!("The query parameter {name} is not supported in the request: {reason}.");
        Self::new(StatusCode::BAD_REQUEST, "UnsupportedQueryParameter", message).about_query(name)
    }

    pub(crate) fn invalid_uri(reason: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidUri", format!("The request URI is invalid: {reason}."))
    }

    pub(crate) fn not_implemented(what: &str) -> Self {
        let message = format!("The emulator does not serve {what}.");
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    /// 500. The cause goes to the log, not to the caller.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed inside the emulator");
        let message = "The server encountered an internal error; the emulator's log has the cause.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// 500, for what the disk or the index refuses. The caller is told why: mostly it is a full disk, and only a human can help.
    fn storage(cause: &dyn std::fmt::Display) -> Self {
        let mut error = Self::internal(cause);
        error.message =
            format!("The emulator cannot read or write what it keeps: {cause}. Its log has more.").into();
        error
    }

    pub(crate) fn about(mut self, existing: NodeKind) -> Self {
        self.existing = Some(existing);
        self
    }

    pub(crate) fn with_length(mut self, length: u64) -> Self {
        self.full_length = Some(length);
        self
    }

    /// The refusals of a lease have other names when a container is leased.
    pub(crate) fn on_container(mut self) -> Self {
        self.code = match self.code {
            "LeaseIdMismatch" => "LeaseIdMismatchWithContainerOperation",
            "LeaseNotPresent" => "LeaseNotPresentWithContainerOperation",
            code => code,
        };
        self
    }

    pub(crate) fn code_for(&self, api: Api) -> &'static str {
        match (api, self.code) {
            (Api::Blob, "LeaseIdMismatch") => "LeaseIdMismatchWithBlobOperation",
            (Api::Blob, "LeaseNotPresent") => "LeaseNotPresentWithBlobOperation",
            (Api::Blob, "PathNotFound") => "BlobNotFound",
            (Api::Blob, "DirectoryNotEmpty") => "DirectoryIsNotEmpty",
            (Api::Blob, "PathAlreadyExists") => "BlobAlreadyExists",
            (Api::Blob, "FilesystemNotFound") => "ContainerNotFound",
            (Api::Blob, "FilesystemBeingDeleted") => "ContainerBeingDeleted",
            (Api::Blob, "UnsupportedRestVersion") => "InvalidHeaderValue",
            (Api::Blob, "FilesystemAlreadyExists") => "ContainerAlreadyExists",
            (_, code) => code,
        }
    }

    /// The body and its content type.
    pub(crate) fn body_for(&self, api: Api, request_id: &str) -> (&'static str, String) {
        let code = self.code_for(api);
        let text: Cow<'_, str> = match api {
            Api::Blob if code.starts_with("Lease") => {
                Cow::Owned(self.message.replace("the resource", "the blob"))
            }
            _ => Cow::Borrowed(&*self.message),
        };
        let message = format!("{text}\nRequestId:{request_id}\nTime:{}", crate::clock::iso_now());
        match api {
            Api::Dfs => {
                let mut error = serde_json::json!({ "code": code, "message": message });
                if let Some(detail) = &self.authentication_detail {
                    error["detail"] = serde_json::json!({ "AuthenticationErrorDetail": detail });
                }
                ("application/json;charset=utf-8", serde_json::json!({ "error": error }).to_string())
            }
            Api::Blob => {
                let mut xml = format!(
                    "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{}</Message>",
                    quick_xml::escape::escape(message.as_str())
                );
                if let Some(detail) = &self.authentication_detail {
                    let detail = quick_xml::escape::escape(detail.as_str());
                    xml.push_str(&format!("<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail>"));
                }
                if let Some((element, name)) = &self.input {
                    xml.push_str(&format!(
                        "<{element}>{}</{element}>",
                        quick_xml::escape::escape(name.as_str())
                    ));
                }
                xml.push_str("</Error>");
                ("application/xml", xml)
            }
        }
    }
}

impl From<rusqlite::Error> for ServiceError {
    fn from(error: rusqlite::Error) -> Self {
        Self::storage(&error)
    }
}

impl From<std::io::Error> for ServiceError {
    fn from(error: std::io::Error) -> Self {
        Self::storage(&error)
    }
}
