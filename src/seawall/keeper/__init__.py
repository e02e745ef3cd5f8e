"""The keeper: the cranks that keep a venue going, each predicted before it is sent."""
