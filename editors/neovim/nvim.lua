-- Neovim (0.9 or later) reads this file if 'exrc' is set, it is started here
-- and the file is trusted. :make build, :make check or :make verify fill the
-- quickfix list.
local here = vim.fn.fnamemodify(debug.getinfo(1, "S").source:sub(2), ":p:h")
vim.opt.runtimepath:prepend(here .. "/.vim")
vim.api.nvim_create_autocmd("FileType", {
  pattern = { "c", "toml" },
  group = vim.api.nvim_create_augroup("skep", {}),
  command = "compiler skep",
})
