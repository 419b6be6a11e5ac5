return {call('HLEN', ENTRIES)}, false
