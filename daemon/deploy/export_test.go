package deploy

// Automatic is the rollback that a failure calls for.
var Automatic = automatic
