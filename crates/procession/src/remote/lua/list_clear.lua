if call('UNLINK', VALUES) == 0 then return {0}, false end
changed()
return {1}
