# Event types of MongoDB Atlas that are about access, policies and data: each with its family and what was
# done. What becomes of a family and an activity is in `atlas_ocsf`; a type that is in no table is understood
# by its name there. The tables are constants: an event costs one lookup.
#
# The other families are in `operation_event_types` and `account_event_types`.

# People in organisations and projects: invited, joined, given roles, removed.
def user: {
  JOINED_GROUP: "user.assign_roles",
  JOINED_ORG: "user.assign_roles",
  JOIN_GROUP_REQUEST_APPROVED_AUDIT: "user.assign_roles",
  USER_ROLES_CHANGED_AUDIT: "user.assign_roles",
  GROUP_INVITATION_DELETED: "user.other",
  INVITED_TO_GROUP: "user.other",
  INVITED_TO_ORG: "user.other",
  JOIN_GROUP_REQUEST_DENIED_AUDIT: "user.other",
  ORG_INVITATION_DELETED: "user.other",
  REQUESTED_TO_JOIN_GROUP: "user.other",
  REMOVED_FROM_GROUP: "user.remove_roles",
  REMOVED_FROM_ORG: "user.remove_roles"
};

# Teams of an organisation.
def team: {
  JOINED_TEAM: "team.add_user",
  TEAM_ADDED_TO_GROUP: "team.assign_roles",
  TEAM_ROLES_MODIFIED: "team.assign_roles",
  TEAM_CREATED: "team.create",
  TEAM_DELETED: "team.delete",
  INVITED_TO_TEAM: "team.other",
  TEAM_REMOVED_FROM_GROUP: "team.remove_roles",
  REMOVED_FROM_TEAM: "team.remove_user",
  TEAM_NAME_CHANGED: "team.update",
  TEAM_UPDATED: "team.update"
};

# Programmatic API keys.
def api_key: {
  API_KEY_ADDED_TO_GROUP: "api_key.assign_roles",
  API_KEY_ROLES_CHANGED: "api_key.assign_roles",
  AI_MODELS_APIS_API_KEY_CREATED: "api_key.create",
  API_KEY_CREATED: "api_key.create",
  AI_MODELS_APIS_API_KEY_DELETED: "api_key.delete",
  API_KEY_DELETED: "api_key.delete",
  API_KEY_REMOVED_FROM_GROUP: "api_key.remove_roles",
  AI_MODELS_APIS_API_KEY_UPDATED: "api_key.update",
  API_KEY_DESCRIPTION_CHANGED: "api_key.update"
};

# Service accounts and their secrets.
def service_account: {
  SERVICE_ACCOUNT_SECRET_ADDED: "service_account.add_credential",
  SERVICE_ACCOUNT_ADDED_TO_GROUP: "service_account.assign_roles",
  SERVICE_ACCOUNT_ROLES_CHANGED: "service_account.assign_roles",
  SERVICE_ACCOUNT_CREATED: "service_account.create",
  SERVICE_ACCOUNT_DELETED: "service_account.delete",
  SERVICE_ACCOUNT_SECRET_DELETED: "service_account.remove_credential",
  SERVICE_ACCOUNT_REMOVED_FROM_GROUP: "service_account.remove_roles",
  SERVICE_ACCOUNT_DETAILS_CHANGED: "service_account.update"
};

# OAuth clients, tokens and consents.
def oauth: {
  OAUTH_CLIENT_SECRET_CREATED: "oauth.add_credential",
  OAUTH_TOKEN_ISSUED: "oauth.add_credential",
  OAUTH_CLIENT_CREATED: "oauth.create",
  OAUTH_CLIENT_DELETED: "oauth.delete",
  OAUTH_AUTHORIZATION_DENIED: "oauth.failed",
  OAUTH_AUTHORIZATION_GRANTED: "oauth.grant",
  OAUTH_USER_CONSENT_GRANTED: "oauth.grant",
  OAUTH_CLIENT_SECRET_DELETED: "oauth.remove_credential",
  OAUTH_TOKEN_REVOKED: "oauth.remove_credential",
  OAUTH_USER_CONSENT_REVOKED: "oauth.revoke",
  OAUTH_CLIENT_UPDATED: "oauth.update"
};

# Users of the databases, and their certificates.
def database_user: {
  DEVICE_SYNC_DEBUG_X509_CERT_CREATED: "database_user.add_credential",
  MONGODB_USER_X509_CERT_CREATED: "database_user.add_credential",
  MONGODB_USER_ADDED: "database_user.create",
  MONGODB_USER_DELETED: "database_user.delete",
  MONGODB_USER_X509_CERT_REVOKED: "database_user.remove_credential",
  MONGODB_USER_UPDATED: "database_user.update"
};

# Roles of the databases.
def database_role: {
  MONGODB_ROLE_ADDED: "database_role.create",
  MONGODB_ROLE_DELETED: "database_role.delete",
  MONGODB_ROLE_UPDATED: "database_role.update"
};

# The organisation itself.
def organization: {
  ORG_ACTIVATED: "organization.activate",
  ORG_TEMPORARILY_ACTIVATED: "organization.activate",
  ORG_CREATED: "organization.create",
  ORG_BAAS_EOL_EXTENSION_ACCEPTED: "organization.other",
  ORG_BAAS_EOL_EXTENSION_CANCELED: "organization.other",
  ORG_BAAS_EOL_EXTENSION_PENDING: "organization.other",
  ORG_CLUSTERS_DELETED: "organization.other",
  ORG_CLUSTERS_PAUSED: "organization.other",
  ORG_CONNECTED_TO_MLAB: "organization.other",
  ORG_CONNECTED_TO_VERCEL: "organization.other",
  ORG_CONNECTION_UNINSTALLED_FROM_VERCEL: "organization.other",
  ORG_DISCONNECTED_FROM_MLAB: "organization.other",
  ORG_DISCONNECTED_TO_VERCEL: "organization.other",
  ORG_MONGODB_VERSION_EOL_EXTENSION_ACCEPTED: "organization.other",
  ORG_MONGODB_VERSION_EOL_EXTENSION_CANCELLED: "organization.other",
  ORG_MONGODB_VERSION_EOL_EXTENSION_PENDING: "organization.other",
  ORG_ADMIN_LOCKED: "organization.suspend",
  ORG_ADMIN_SUSPENDED: "organization.suspend",
  ORG_LOCKED: "organization.suspend",
  ORG_LOCKED_ACCELERATED: "organization.suspend",
  ORG_SUSPENDED: "organization.suspend",
  ORG_RENAMED: "organization.update"
};

# Projects, which the API calls groups.
def project: {
  GROUP_ACTIVATED: "project.activate",
  GROUP_TEMPORARILY_ACTIVATED: "project.activate",
  GROUP_CREATED: "project.create",
  PROJECT_CREATED_VIA_ANIS: "project.create",
  GROUP_DELETED: "project.delete",
  GROUP_MOVED: "project.move",
  GROUP_MOVED_FROM_ORG: "project.move",
  GROUP_FLUSHED: "project.other",
  GROUP_LOCKED: "project.suspend",
  GROUP_SUSPENDED: "project.suspend",
  GROUP_NAME_CHANGED: "project.update",
  GROUP_TAGS_MODIFIED: "project.update",
  PROJECT_COLLECT_DATABASE_STATISTICS_UPDATED: "project.update",
  PROJECT_ENABLE_DATA_VALIDATION_UPDATED: "project.update",
  PROJECT_ENABLE_EXTENDED_STORAGE_SIZES_UPDATED: "project.update",
  PROJECT_LIMIT_UPDATED: "project.update",
  TAGS_MODIFIED: "project.update"
};

# Settings of organisations.
def settings: {
  ORG_SETTINGS_CONFIGURED: "settings.create",
  ORG_SETTINGS_DELETED: "settings.delete",
  CUSTOM_SESSION_TIMEOUT_MODIFIED: "settings.update",
  OPERATIONS_CONTACT_MODIFIED: "settings.update",
  ORG_DELEGATION_SETTINGS_UPDATED: "settings.update",
  ORG_LIMIT_UPDATED: "settings.update",
  ORG_SERVICE_ACCOUNT_MAX_SECRET_VALIDITY_EDITED: "settings.update",
  ORG_SETTINGS_UPDATED: "settings.update",
  ORG_SUSPENSION_DATE_CHANGED: "settings.update",
  ORG_WAVE_ASSIGNMENT_MODE_ENV_TAG_MAPPING: "settings.update",
  ORG_WAVE_ASSIGNMENT_MODE_MANUAL: "settings.update",
  SECURITY_CONTACT_MODIFIED: "settings.update"
};

# Federated authentication as a whole.
def federation: {
  FEDERATION_SETTINGS_CREATED: "federation.create",
  FEDERATION_SETTINGS_DELETED: "federation.delete",
  FEDERATION_SETTINGS_UPDATED: "federation.update"
};

# Identity providers.
def identity_provider: {
  IDENTITY_PROVIDER_CREATED: "identity_provider.create",
  IDENTITY_PROVIDER_DELETED: "identity_provider.delete",
  IDENTITY_PROVIDER_DEACTIVATED: "identity_provider.disable",
  OIDC_IDENTITY_PROVIDER_DISABLED: "identity_provider.disable",
  IDENTITY_PROVIDER_ACTIVATED: "identity_provider.enable",
  OIDC_IDENTITY_PROVIDER_ENABLED: "identity_provider.enable",
  IDENTITY_PROVIDER_JWKS_REVOKED: "identity_provider.update",
  IDENTITY_PROVIDER_UPDATED: "identity_provider.update",
  OIDC_IDENTITY_PROVIDER_UPDATED: "identity_provider.update"
};

# Roles given by an identity provider's groups.
def role_mapping: {
  ROLE_MAPPING_CREATED: "role_mapping.create",
  ROLE_MAPPING_DELETED: "role_mapping.delete",
  ROLE_MAPPING_UPDATED: "role_mapping.update"
};

# Domains of a federation.
def domain: {
  DOMAIN_CREATED: "domain.create",
  DOMAIN_DELETED: "domain.delete",
  DOMAINS_ASSOCIATED: "domain.update",
  DOMAIN_VERIFIED: "domain.update"
};

# Who may become a member of the organisation.
def membership: {
  RESTRICT_ORG_MEMBERSHIP_DISABLED: "membership.disable",
  RESTRICT_ORG_MEMBERSHIP_ENABLED: "membership.enable"
};

# Whether a second factor is asked for.
def two_factor: {
  ORG_TWO_FACTOR_AUTH_OPTIONAL: "two_factor.disable",
  ORG_TWO_FACTOR_AUTH_REQUIRED: "two_factor.enable"
};

# Addresses that may connect or call the API.
def access_list: {
  API_KEY_ACCESS_LIST_ENTRY_ADDED: "access_list.create",
  NETWORK_PERMISSION_ENTRY_ADDED: "access_list.create",
  SERVICE_ACCOUNT_ACCESS_LIST_ENTRY_ADDED: "access_list.create",
  API_KEY_ACCESS_LIST_ENTRY_DELETED: "access_list.delete",
  NETWORK_PERMISSION_ENTRY_REMOVED: "access_list.delete",
  SERVICE_ACCOUNT_ACCESS_LIST_ENTRY_DELETED: "access_list.delete",
  API_KEY_UI_IP_ACCESS_LIST_INHERITANCE_DISABLED: "access_list.disable",
  ORG_PUBLIC_API_ACCESS_LIST_NOT_REQUIRED: "access_list.disable",
  ORG_UI_IP_ACCESS_LIST_DISABLED: "access_list.disable",
  SERVICE_ACCOUNT_UI_IP_ACCESS_LIST_INHERITANCE_DISABLED: "access_list.disable",
  API_KEY_UI_IP_ACCESS_LIST_INHERITANCE_ENABLED: "access_list.enable",
  ORG_PUBLIC_API_ACCESS_LIST_REQUIRED: "access_list.enable",
  ORG_UI_IP_ACCESS_LIST_ENABLED: "access_list.enable",
  SERVICE_ACCOUNT_UI_IP_ACCESS_LIST_INHERITANCE_ENABLED: "access_list.enable",
  NETWORK_PERMISSION_ENTRY_UPDATED: "access_list.update",
  ORG_EDITED_UI_IP_ACCESS_LIST_ENTRIES: "access_list.update"
};

# Whether MongoDB's staff may see the clusters.
def employee_access: {
  DEVICE_SYNC_DEBUG_ACCESS_REVOKED: "employee_access.disable",
  EMPLOYEE_ACCESS_REVOKED: "employee_access.disable",
  ORG_EMPLOYEE_ACCESS_RESTRICTED: "employee_access.disable",
  REVOKED_EMPLOYEE_ACCESS_BYPASS: "employee_access.disable",
  DEVICE_SYNC_DEBUG_ACCESS_GRANTED: "employee_access.enable",
  EMPLOYEE_ACCESS_GRANTED: "employee_access.enable",
  ORG_EMPLOYEE_ACCESS_UNRESTRICTED: "employee_access.enable",
  RESTRICTED_EMPLOYEE_ACCESS_BYPASS: "employee_access.enable"
};

# LDAP, X.509 and revocation lists.
def security_settings: {
  CUSTOMER_X509_CRL_UPDATED: "security_settings.update",
  USER_SECURITY_SETTINGS_UPDATED: "security_settings.update"
};

# Encryption at rest and its keys.
def encryption: {
  ENCRYPTION_AT_REST_CONFIGURATION_VALIDATION_FAILED: "encryption.failed",
  ENCRYPTION_AT_REST_CONFIGURATION_VALIDATION_SUCCEEDED: "encryption.other",
  ENCRYPTION_AT_REST_KEY_ROTATION_STARTED: "encryption.other",
  KMIP_KEY_ROTATION_SCHEDULED: "encryption.other",
  AWS_ENCRYPTION_KEY_ROTATED: "encryption.update",
  AZURE_ENCRYPTION_KEY_ROTATED: "encryption.update",
  ENCRYPTION_AT_REST_CONFIGURATION_UPDATED: "encryption.update",
  GCP_ENCRYPTION_KEY_ROTATED: "encryption.update"
};

# What is audited.
def auditing: {
  AUDIT_LOG_CONFIGURATION_UPDATED: "auditing.update",
  STREAMS_AUDIT_LOG_CONFIGURATION_UPDATED: "auditing.update"
};

# Where logs are sent.
def log_export: {
  AZURE_LOG_STREAMING_DISABLED: "log_export.disable",
  DATADOG_LOG_STREAMING_DISABLED: "log_export.disable",
  GCP_LOG_STREAMING_DISABLED: "log_export.disable",
  LOG_STREAMING_DISABLED: "log_export.disable",
  OTEL_LOG_STREAMING_DISABLED: "log_export.disable",
  PUSH_BASED_LOG_EXPORT_DISABLED: "log_export.disable",
  S3_LOG_STREAMING_DISABLED: "log_export.disable",
  SPLUNK_LOG_STREAMING_DISABLED: "log_export.disable",
  AZURE_LOG_STREAMING_ENABLED: "log_export.enable",
  DATADOG_LOG_STREAMING_ENABLED: "log_export.enable",
  GCP_LOG_STREAMING_ENABLED: "log_export.enable",
  LOG_STREAMING_ENABLED: "log_export.enable",
  OTEL_LOG_STREAMING_ENABLED: "log_export.enable",
  PUSH_BASED_LOG_EXPORT_ENABLED: "log_export.enable",
  S3_LOG_STREAMING_ENABLED: "log_export.enable",
  SPLUNK_LOG_STREAMING_ENABLED: "log_export.enable",
  LOG_STREAMING_REPLAY_COMPLETE: "log_export.other",
  LOG_STREAMING_REPLAY_STARTED: "log_export.other",
  AZURE_LOG_STREAMING_CONFIGURATION_UPDATED: "log_export.update",
  DATADOG_LOG_STREAMING_CONFIGURATION_UPDATED: "log_export.update",
  GCP_LOG_STREAMING_CONFIGURATION_UPDATED: "log_export.update",
  LOG_STREAMING_CONFIGURATION_UPDATED: "log_export.update",
  OTEL_LOG_STREAMING_CONFIGURATION_UPDATED: "log_export.update",
  PUSH_BASED_LOG_EXPORT_CONFIGURATION_UPDATED: "log_export.update",
  S3_LOG_STREAMING_CONFIGURATION_UPDATED: "log_export.update",
  SPLUNK_LOG_STREAMING_CONFIGURATION_UPDATED: "log_export.update"
};

# Policies of the organisation for its resources.
def resource_policy: {
  RESOURCE_POLICY_CREATED: "resource_policy.create",
  RESOURCE_POLICY_DELETED: "resource_policy.delete",
  RESOURCE_POLICY_VIOLATED: "resource_policy.failed",
  RESOURCE_POLICY_MODIFIED: "resource_policy.update"
};

# Which alerts there are.
def alert_config: {
  ALERT_CONFIG_ADDED_AUDIT: "alert_config.create",
  ALERT_CONFIG_DELETED_AUDIT: "alert_config.delete",
  ALERT_CONFIG_DISABLED_AUDIT: "alert_config.disable",
  ALERT_CONFIG_ENABLED_AUDIT: "alert_config.enable",
  ALERT_CONFIG_CHANGED_AUDIT: "alert_config.update",
  GROUP_DEFAULT_ALERTS_SETTINGS_CHANGED: "alert_config.update"
};

# Whether data may be looked at in the browser.
def data_explorer: {
  DATA_EXPLORER_DISABLED: "data_explorer.disable",
  DATA_EXPLORER_ENABLED: "data_explorer.enable"
};

# Data looked at or changed in the browser and by tools.
def data_access: {
  DATA_EXPLORER_CRUD_ATTEMPT: "data_access.attempt",
  DATA_EXPLORER_SESSION_CREATED: "data_access.connect",
  CLUSTER_CONNECTION_CREATE_COLLECTION: "data_access.create",
  DATA_EXPLORER_CRUD_ERROR: "data_access.failed",
  CLUSTER_CONNECTION_GET_AGGREGATED_VIEW_INFOS: "data_access.list",
  CLUSTER_CONNECTION_GET_DATABASES: "data_access.list",
  CLUSTER_CONNECTION_GET_DATABASE_COLLECTIONS: "data_access.list",
  CLUSTER_CONNECTION_GET_DATABASE_NAMESPACES: "data_access.list",
  CLUSTER_CONNECTION_GET_NAMESPACES_AND_PROJECT_SQL_SCHEMA_DATA: "data_access.list",
  CLUSTER_CONNECTION_GET_NAMESPACES_WITH_UUID: "data_access.list",
  DATA_EXPLORER: "data_access.operation",
  DATA_EXPLORER_CRUD: "data_access.operation",
  CLUSTER_CONNECTION_AGGREGATE: "data_access.query",
  CLUSTER_CONNECTION_FIND_DOCUMENTS: "data_access.read",
  CLUSTER_CONNECTION_SAMPLE_COLLECTION_FIELD_NAMES: "data_access.read",
  CLUSTER_CONNECTION_SAMPLE_COLLECTION_FIELD_NAMES_AND_TYPES: "data_access.read"
};

# All of them.
def types:
  user + team + api_key + service_account + oauth + database_user + database_role + organization +
  project + settings + federation + identity_provider + role_mapping + domain + membership + two_factor +
  access_list + employee_access + security_settings + encryption + auditing + log_export +
  resource_policy + alert_config + data_explorer + data_access;
