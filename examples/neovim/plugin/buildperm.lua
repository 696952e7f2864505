-- Commands for buildperm; what they do is in lua/buildperm.lua.

vim.api.nvim_create_user_command("BuildpermPending", function()
  require("buildperm").refresh()
end, { desc = "List what build scripts and macros did that nobody has decided about" })

vim.api.nvim_create_user_command("BuildpermDecide", function(given)
  require("buildperm").decide(given.fargs[1], tonumber(given.fargs[2]))
end, {
  nargs = "+", -- ANSWER [RUNG]
  complete = function()
    return { "allow", "deny", "later" }
  end,
  desc = "Answer the question in the line of the cursor",
})
