{
  time: .created,
  id,
  kind: .eventTypeName,
  actor: (.username // .publicKey),
  address: .remoteAddress,
  severity: .raw.severity
}
