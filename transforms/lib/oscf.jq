# The OSCF envelope: a record wrapped as evidence for the controls of a framework.
#
#   {metadata: {schema_version, custom_framework}, controls: [...]}
#
# OSCF has no published schema to check against. So version and framework are parameters here,
# and nothing is promised about what `controls` holds: it holds the source's records, unchanged.
#
# `controls` has to be an array: `[.]` for one record. Written as `controls: .[]`, the object around
# it becomes a generator and yields one envelope for each value of `.`: a record with twelve fields
# would come out as twelve envelopes of one bare value each, the field names lost.

# Input is ignored; `$controls` is the array of records. Always exactly one envelope.
def envelope($schema_version; $framework; $controls):
  {
    metadata: { schema_version: $schema_version, custom_framework: $framework },
    controls: $controls
  };

# An event as the array that `envelope` wants: an array is taken as a list of records.
def records: if type == "array" then . else [.] end;
