-- Tells the incarnation, so that a server whose scripts may not ask for it shows at the start.
return incarnation('') or ''
