-- Neovim (0.9 or later) reads this file if 'exrc' is set, it is started here
-- and the file is trusted. Findings come from `skep lsp`; :make build, :make
-- check or :make verify fill the quickfix list.
local here = vim.fn.fnamemodify(debug.getinfo(1, "S").source:sub(2), ":p:h")
vim.opt.runtimepath:prepend(here .. "/.vim")

local server = { name = "skep", cmd = { "skep", "lsp" }, root_dir = here }
local client -- for Neovim before 0.8, which starts one for each call

vim.api.nvim_create_autocmd("FileType", {
  pattern = { "c", "toml" },
  group = vim.api.nvim_create_augroup("skep", {}),
  callback = function(event)
    vim.cmd("compiler skep")
    if vim.lsp.start then
      vim.lsp.start(server, { bufnr = event.buf })
    else
      client = client or vim.lsp.start_client(server)
      vim.lsp.buf_attach_client(event.buf, client)
    end
  end,
})
