//! Header names of the contract, lower case.

pub const ASYNC_OPERATION: &str = "azure-asyncoperation";
pub const CLIENT_REQUEST_ID: &str = "x-ms-client-request-id";
pub const RETURN_CLIENT_REQUEST_ID: &str = "x-ms-return-client-request-id";
pub const CORRELATION_REQUEST_ID: &str = "x-ms-correlation-request-id";
pub const REQUEST_ID: &str = "x-ms-request-id";
pub const ERROR_CODE: &str = "x-ms-error-code";
pub const SYSTEM_DATA: &str = "x-ms-arm-resource-system-data";
pub const HOME_TENANT_ID: &str = "x-ms-home-tenant-id";
pub const CLIENT_TENANT_ID: &str = "x-ms-client-tenant-id";
pub const CLIENT_APP_ID: &str = "x-ms-client-app-id";
pub const CLIENT_OBJECT_ID: &str = "x-ms-client-object-id";
pub const CLIENT_PRINCIPAL_NAME: &str = "x-ms-client-principal-name";
pub const REFERER: &str = "referer";
