-- Returns the epoch, so that a server whose scripts may not read it is detected at the
-- start.
return epoch('') or ''
