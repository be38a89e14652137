# What is known of the actions of an Atlassian organisation's audit log: for each what kind of change it is to
# OCSF, and which activity. A constant table: an event costs one lookup.
#
# Atlassian publishes no complete list (an organisation can ask for its own: `/admin/v1/orgs/{id}/event-actions`),
# and adds actions often. The names here were seen in public records, or are built as those are; several are spelt
# in more than one way, because products do. What is not here goes by the words in its name: see `guess`.
#
# An entry is `{kind, activity, old?, failed?, own?}`: `activity` is that of the kind's class, `old` the one before
# OCSF 1.9 where the class is another there. Activity 99 is named by the action itself. The kinds:
#
#   logon      3002, user = actor                     switch    3002, user = the user in the context
#   ended      3002, user = the user in the context
#   account    3007 [3001], user = the user in the context; with `own`, where the context says nothing of whom it
#              was done to, the actor: a user does such things to himself
#   token      the same, with the credential          key       3007 [3001], user = the key, a service account
#   grant      3007 [3005] for a user, 3006 for a group, 3004 for neither, with privileges or roles
#   group      3006                                   member    3006, with users
#   entity     3004, entity = the first thing in the context
#   policy     the same, of type policy
#   app        6002                                   call      6003

def logon(activity): { kind: "logon", activity: activity };
def logon_failed: { kind: "logon", activity: 1, failed: true };
def ended: { kind: "ended", activity: 2 };
def switch: { kind: "switch", activity: 7 };
def account(new; old): { kind: "account", activity: new, old: old };
def own(new; old): { kind: "account", activity: new, old: old, own: true };
def token(new): { kind: "token", activity: new, old: 99, own: true };
def key(new; old): { kind: "key", activity: new, old: old };
def group(activity): { kind: "group", activity: activity };
# Group Management knows an update since 1.9.
def group_update: { kind: "group", activity: 9, old: 99 };
def member(activity): { kind: "member", activity: activity };
def privileges_given: { kind: "grant", activity: 14, old: 1 };
def privileges_taken: { kind: "grant", activity: 15, old: 2 };
def roles_given: { kind: "grant", activity: 16, old: 1, roles: true };
def roles_taken: { kind: "grant", activity: 17, old: 2, roles: true };
def entity(activity): { kind: "entity", activity: activity };
def policy(activity): { kind: "policy", activity: activity };
def app(activity): { kind: "app", activity: activity };
def app_failed(activity): { kind: "app", activity: activity, failed: true };
def call(activity): { kind: "call", activity: activity };

def known: {
  # sessions
  user_login: logon(1),
  user_login_event: logon(1),
  user_login_success: logon(1),
  user_logged_in: logon(1),
  user_login_failed: logon_failed,
  user_login_failure: logon_failed,
  user_login_failed_event: logon_failed,
  user_logout: logon(2),
  user_logout_event: logon(2),
  user_logged_out: logon(2),
  user_session_revoked: ended,
  user_sessions_revoked: ended,
  user_logged_in_as_user: switch,

  # accounts
  user_created: account(1; 1),
  user_provisioned: account(1; 1),
  user_account_created: account(1; 1),
  user_deleted: account(3; 6),
  user_account_deleted: account(3; 6),
  user_deprovisioned: account(3; 6),
  user_removed: account(3; 6),
  user_removed_from_org: account(3; 6),
  user_removed_from_organization: account(3; 6),
  user_removed_from_directory: account(3; 6),
  user_account_deletion_scheduled: account(99; 99),
  user_account_deletion_canceled: account(99; 99),
  user_deactivated: account(5; 5),
  user_deactivated_by_admin: account(5; 5),
  user_suspended: account(5; 5),
  user_suspended_from_org: account(5; 5),
  user_access_suspended: account(5; 5),
  user_reactivated: account(4; 2),
  user_activated: account(4; 2),
  user_access_restored: account(4; 2),
  user_locked: account(6; 9),
  user_unlocked: account(7; 12),
  user_profile_updated: own(2; 99),
  user_profile_changed: own(2; 99),
  user_email_changed: own(2; 99),
  user_email_updated: own(2; 99),
  user_name_changed: own(2; 99),
  user_claimed: account(99; 99),
  user_unclaimed: account(99; 99),
  user_password_changed: own(8; 3),
  user_password_updated: own(8; 3),
  user_password_reset: account(9; 4),
  user_password_reset_requested: own(99; 99),
  user_password_reset_by_admin: account(9; 4),
  user_two_step_verification_enabled: own(12; 10),
  user_two_step_verification_disabled: own(13; 11),
  user_mfa_enabled: own(12; 10),
  user_mfa_disabled: own(13; 11),
  user_mfa_reset: account(13; 11),

  # invitations and requests
  user_invited: account(99; 99),
  user_invited_to_org: account(99; 99),
  user_invited_to_site: account(99; 99),
  user_invitation_sent: account(99; 99),
  user_invitation_created: account(99; 99),
  user_invitation_accepted: own(99; 99),
  user_invitation_resent: account(99; 99),
  user_invitation_revoked: account(99; 99),
  user_invitation_expired: account(99; 99),
  user_access_requested: own(99; 99),
  user_access_request_approved: account(99; 99),
  user_access_request_denied: account(99; 99),

  # tokens of users, keys of the organisation
  api_token_created: token(18),
  api_token_revoked: token(19),
  api_token_deleted: token(19),
  api_token_expired: token(19),
  user_api_token_created: token(18),
  user_api_token_revoked: token(19),
  oauth_token_created: token(18),
  oauth_token_revoked: token(19),
  scim_token_created: key(18; 1),
  scim_token_regenerated: key(18; 99),
  scim_token_revoked: key(19; 6),
  api_key_created: key(18; 1),
  api_key_deleted: key(19; 6),
  api_key_revoked: key(19; 6),
  admin_api_key_created: key(18; 1),
  admin_api_key_revoked: key(19; 6),
  org_api_key_created: key(18; 1),
  org_api_key_revoked: key(19; 6),
  service_account_created: key(1; 1),
  service_account_updated: key(2; 99),
  service_account_deleted: key(3; 6),

  # groups
  group_created: group(6),
  group_deleted: group(5),
  group_renamed: group_update,
  group_updated: group_update,
  group_description_updated: group_update,
  user_added_to_group: member(3),
  user_removed_from_group: member(4),
  group_member_added: member(3),
  group_member_removed: member(4),
  users_added_to_group: member(3),
  users_removed_from_group: member(4),

  # permissions and roles
  user_product_access_granted: privileges_given,
  user_product_access_revoked: privileges_taken,
  user_granted_product_access: privileges_given,
  user_revoked_product_access: privileges_taken,
  user_added_to_product: privileges_given,
  user_removed_from_product: privileges_taken,
  user_added_to_site: privileges_given,
  user_removed_from_site: privileges_taken,
  group_product_access_granted: privileges_given,
  group_product_access_revoked: privileges_taken,
  group_added_to_product: privileges_given,
  group_removed_from_product: privileges_taken,
  confluence_added_space_permission: privileges_given,
  confluence_removed_space_permission: privileges_taken,
  confluence_global_permission_added: privileges_given,
  confluence_global_permission_removed: privileges_taken,
  jira_global_permission_added: privileges_given,
  jira_global_permission_removed: privileges_taken,
  bitbucket_repository_permission_added: privileges_given,
  bitbucket_repository_permission_removed: privileges_taken,
  user_role_granted: roles_given,
  user_role_revoked: roles_taken,
  user_granted_role: roles_given,
  user_revoked_role: roles_taken,
  user_role_changed: roles_given,
  group_role_granted: roles_given,
  group_role_revoked: roles_taken,
  org_admin_added: roles_given,
  org_admin_removed: roles_taken,
  site_admin_added: roles_given,
  site_admin_removed: roles_taken,
  jira_project_roles_changed: roles_given,

  # policies and settings
  policy_created: policy(1),
  policy_updated: policy(3),
  policy_deleted: policy(4),
  policy_enabled: policy(8),
  policy_disabled: policy(9),
  authentication_policy_created: policy(1),
  authentication_policy_updated: policy(3),
  authentication_policy_deleted: policy(4),
  ip_allowlist_created: policy(1),
  ip_allowlist_updated: policy(3),
  ip_allowlist_deleted: policy(4),
  ip_allowlist_enabled: policy(8),
  ip_allowlist_disabled: policy(9),
  data_security_policy_created: policy(1),
  data_security_policy_updated: policy(3),
  data_security_policy_deleted: policy(4),
  password_policy_update: policy(3),
  session_duration_policy_update: policy(3),
  org_settings_update: policy(3),
  org_settings_updated: policy(3),
  saml_configuration_created: policy(1),
  saml_configuration_updated: policy(3),
  saml_configuration_deleted: policy(4),
  sso_enforced: policy(8),
  sso_disabled: policy(9),
  two_step_verification_enforced: policy(8),
  two_step_verification_not_enforced: policy(9),

  # other things of the organisation
  domain_claimed: entity(1),
  domain_verified: entity(10),
  domain_removed: entity(4),
  domain_unclaimed: entity(4),
  identity_provider_connected: entity(1),
  identity_provider_disconnected: entity(4),
  user_directory_created: entity(1),
  user_directory_deleted: entity(4),
  org_created: entity(1),
  org_renamed: entity(3),
  org_name_changed: entity(3),
  site_created: entity(1),
  site_renamed: entity(3),
  site_deleted: entity(4),
  product_added: entity(1),
  product_removed: entity(4),
  audit_log_webhook_created: entity(1),
  audit_log_webhook_deleted: entity(4),

  # apps
  marketplace_app_installed: app(1),
  marketplace_app_uninstalled: app(2),
  marketplace_app_enabled: app(6),
  marketplace_app_disabled: app(7),
  marketplace_app_updated: app(8),
  marketplace_app_upgraded: app(8),
  marketplace_app_install_failed: app_failed(1),
  marketplace_app_uninstall_failed: app_failed(2),
  marketplace_app_update_failed: app_failed(8),
  third_party_app_installed: app(1),
  third_party_app_uninstalled: app(2),

  # what was looked at or taken out
  organization_users_viewed: call(2),
  audit_log_viewed: call(2),
  audit_log_exported: call(2),
  users_exported: call(2),
  jira_issue_viewed: call(2),
  jira_issue_created: call(1),
  jira_issue_updated: call(3),
  jira_issue_deleted: call(4),
  confluence_page_viewed: call(2),
  confluence_page_created: call(1),
  confluence_page_updated: call(3),
  confluence_page_deleted: call(4),
  confluence_space_exported: call(2)
};

# Words that say what was done to something, as activities of API Activity.
def verbs: {
  created: 1, create: 1, added: 1, add: 1, invited: 1, uploaded: 1, generated: 1, copied: 1, imported: 1,
  viewed: 2, view: 2, read: 2, exported: 2, export: 2, downloaded: 2, accessed: 2, listed: 2, searched: 2,
  updated: 3, update: 3, changed: 3, change: 3, edited: 3, modified: 3, renamed: 3, moved: 3, enabled: 3,
  disabled: 3, restored: 3, archived: 3, granted: 3, revoked: 3, published: 3, set: 3,
  deleted: 4, delete: 4, removed: 4, remove: 4, purged: 4, trashed: 4
};

# An entry for an action that is not known. Only what its name says for certain makes it more than a call: that
# policies and settings end in what was done to them, and how logins, invitations and members are named from the
# first letter to the last (a policy for logins is no login). The last verb of a name counts.
def outcome: "(_success|_succeeded|_failed|_failure|_denied)?(_event)?$";
def guess:
  (rtrimstr("_event") | endswith("_failed") or endswith("_failure") or endswith("_denied")) as $failed
  | split("_") as $words
  | ([$words[] | verbs[.] // empty] | last) as $verb
  | if $verb != null and $verb != 2 and test("_(policy|policies|settings?)_[a-z]+$")
      then { "1": policy(1), "3": policy(3), "4": policy(4) }["\($verb)"]
    elif startswith("user_log") and test("^user_(login|logged_in)(_(with|via)_[a-z]+)?" + outcome) then logon(1)
    elif startswith("user_log") and test("^user_(logout|logged_out)(_everywhere)?" + outcome) then logon(2)
    elif startswith("user_invit")
      and test("^user_(invited(_to_[a-z]+)?|invitation_(sent|created|declined|resent|expired))" + outcome)
      then account(99; 99)
    elif startswith("group_member") and ($verb == 1 or $verb == 4)
      and test("^group_members?_(added|created|removed|deleted)(_(in|by|to|from|via)(_[a-z]+)+)?$")
      then { "1": member(3), "4": member(4) }["\($verb)"]
    elif startswith("marketplace_app_") then app(99)
    else call($verb // 99)
    end
  | if $failed then .failed = true else . end;

# The entry of the action that is the input.
def rule: known[.] // guess;
