# Who acts, in the audit log of an Atlassian organisation: what all shapes of an event need to know.

# Whether the actor that is the input (object), whose address is `$email` or null, is a person. People have an
# address or an account id; a product that acts by itself has neither.
def is_person($email):
  $email != null or (.id | type == "string" and (contains(":") or test("^([0-9a-f]{24}|[0-9a-f-]{36})$")));
